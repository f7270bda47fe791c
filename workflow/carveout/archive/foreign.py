# SPDX-License-Identifier: GPL-2.0-only
"""Programs of another Debian suite than the host's: what they link to, and how they run here.

They run with their own suite's C library and loader, which may be newer than the host's. What runs
on the runner's machine is amd64, as it is; what runs in the guest is arm64.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from carveout.archive.debs import fetch, unpack, with_dependencies
from carveout.archive.package import Package
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder, sha256_of_json, write_json_atomically
from carveout.common.processes import run_program

_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
_LOADER = "ld-linux-x86-64.so.2"
# Of any architecture.
_ALL_LIBRARIES = "usr/lib/*-linux-gnu"
_READELF = "aarch64-linux-gnu-readelf"  # reads programs for any machine
_LINKING = 1  # goes up when the way of finding libraries changes
_PACKAGES = "packages.json"
_NEEDED = re.compile(r"\(NEEDED\) +Shared library: \[(.+)\]")

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


def packages_to_run(package: Package, program: str) -> list[Package]:
    """Return a package of a program for the guest, and those of the libraries that it links to.

    Once found, they are kept in the cache, and no archive is asked any more.

    Args:
        package: has the program.
        program: its path in the package, such as `usr/bin/env`.
    """

    def find(folder: Path) -> None:
        needed = [p for p in with_dependencies(package) if p.architecture == package.architecture]
        found = linked_packages(program, needed)
        write_json_atomically(folder / _PACKAGES, [p.to_json() for p in found])

    digest = sha256_of_json([_LINKING, package.sha256, program])
    path = cached_folder("linked", digest, find) / _PACKAGES
    return [Package.from_json(p, package.pin) for p in json.loads(path.read_text(encoding="utf-8"))]


def linked_packages(program: str, packages: Sequence[Package]) -> list[Package]:
    """Return those of packages that a program runs with: its own and those of its libraries.

    Args:
        program: its path in its package, such as `usr/bin/env`.
        packages: the program's package and all that it depends on, the C library among them, all
            for the same machine.

    Raises:
        CarveoutError: none of the packages has the program or a library.
    """
    with job_folder() as root:
        for package, deb in zip(packages, fetch(packages), strict=True):
            unpack([deb], root / package.name)
        path = _only(root, program)
        files = [path, *linked_libraries(path, root.glob("*")).values()]
        wanted = {file.relative_to(root).parts[0] for file in files}
    return [package for package in packages if package.name in wanted]


def linked_libraries(program: Path, roots: Iterable[Path]) -> dict[str, Path]:
    """Return the libraries that a program runs with, the loader among them, by their names.

    Args:
        program: the file.
        roots: the folders in which its package, and those that it depends on, are unpacked.

    Raises:
        CarveoutError: a library is in none of them.
    """
    folders = [folder for root in roots for folder in root.glob(_ALL_LIBRARIES)]
    found: dict[str, Path] = {}
    waiting = [program]
    while waiting:
        for name in _needed(waiting.pop()):
            if name not in found:
                found[name] = _library(name, folders, program)
                waiting.append(found[name])
    return found


def _needed(file: Path) -> list[str]:
    """Return the names of the libraries that a program or library itself asks for."""
    command = [_READELF, "--dynamic", "--wide", str(file)]
    return _NEEDED.findall(run_program(command, f"find the libraries of {file.name}"))


def _library(name: str, folders: Iterable[Path], program: Path) -> Path:
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise CarveoutError(
        f"{program.name}: wanted {name} in a package that it depends on, found it in none"
    )


def _only(root: Path, path: str) -> Path:
    found = list(root.glob(f"*/{path}"))
    if len(found) != 1:
        raise CarveoutError(f"wanted one package with {path}, found {len(found)}")
    return found[0]
