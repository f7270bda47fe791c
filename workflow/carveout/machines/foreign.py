# SPDX-License-Identifier: GPL-2.0-only
"""Programs of another Debian suite than the host's: what they link to, and how they run here.

They run with their own suite's C library and loader, which may be newer than the host's. The
runner's machine is amd64, and so are they.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from carveout.archive.debs import fetch, unpack
from carveout.archive.package import Package
from carveout.common.errors import CarveoutError
from carveout.common.processes import run_program

_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
_LOADER = "ld-linux-x86-64.so.2"
# A line of the loader's `--list`: the library that is wanted, and where it is or `not found`.
_LINKED = re.compile(r"^\s*(\S+) => (.+?)(?: \(0x[0-9a-f]+\))?$", re.MULTILINE)

_WRAPPER = """#!/bin/sh
# This program needs its own suite's libraries, which may be newer than the host's.
here=$(cd -P -- "$(dirname -- "$0")" && pwd)
libraries=$here/{libraries}
program=$here/{name}
exec "$libraries/{loader}" --library-path "$libraries" --argv0 "$program" "$program.elf" "$@"
"""


def wrap_program(program: Path, root: Path) -> None:
    """Put a shell script in a program's place that runs it with the libraries unpacked in `root`.

    The script ends in exec. It finds all files from its own place, so the folder may be moved.
    """
    libraries = os.path.relpath(root / _LIBRARIES, program.parent)
    program.rename(program.with_name(f"{program.name}.elf"))
    script = _WRAPPER.format(libraries=libraries, loader=_LOADER, name=program.name)
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)


def linked_packages(program: str, packages: Sequence[Package]) -> list[Package]:
    """Return those of packages that a program runs with: its own and those of its libraries.

    The suite's own loader says which they are, with each package unpacked in a folder of its own.

    Args:
        program: its path in its package, such as `usr/bin/env`.
        packages: the program's package and all that it depends on, the C library among them.

    Raises:
        CarveoutError: none of the packages has the program, the loader or a library.
    """
    with tempfile.TemporaryDirectory(prefix="carveout-") as name:
        root = Path(name)
        for package, deb in zip(packages, fetch(packages), strict=True):
            unpack([deb], root / package.name)
        path = _only(root, program)
        files = [path, *_linked_files(path, _only(root, str(_LIBRARIES / _LOADER)), root)]
        wanted = {file.relative_to(root).parts[0] for file in files}
    return [package for package in packages if package.name in wanted]


def _only(root: Path, path: str) -> Path:
    found = list(root.glob(f"*/{path}"))
    if len(found) != 1:
        raise CarveoutError(f"wanted one package with {path}, found {len(found)}")
    return found[0]


def _linked_files(program: Path, loader: Path, root: Path) -> list[Path]:
    folders = ":".join(str(folder) for folder in root.glob(f"*/{_LIBRARIES}"))
    command = [str(loader), "--inhibit-cache", "--library-path", folders, "--list", str(program)]
    said = run_program(command, f"find the libraries of {program.name}")
    files = []
    for library, found in _LINKED.findall(said):
        # The loader looks into the host's folders too, after the given ones.
        if not Path(found).is_relative_to(root):
            raise CarveoutError(
                f"{program.name}: wanted {library} in a package that it depends on, "
                "found it in none"
            )
        files.append(Path(found))
    return files
