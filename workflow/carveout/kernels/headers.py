# SPDX-License-Identifier: GPL-2.0-only
"""What builds a module for a kernel, out of the folder in which the kernel was built."""

import shutil
from collections.abc import Iterator
from pathlib import Path

# What scripts/package/install-extmod-build takes too: in its output, that is all.
_FILES = ("Makefile", "Module.symvers", ".config")
_FOLDERS = ("include", "scripts")
_OF_ARCHITECTURE = ("Makefile*", "Kbuild*", "Kconfig*")
_BUILT = (".o", ".a", ".cmd")
RELEASE = "include/config/kernel.release"


def header_files(built: Path) -> Iterator[Path]:
    """Yield what builds a module, relative to the folder of a built kernel or of its headers."""
    architecture = built / "arch/arm64"
    found = [built / name for name in _FILES]
    for folder in (*(built / name for name in _FOLDERS), *architecture.rglob("include")):
        found += folder.rglob("*")
    for pattern in _OF_ARCHITECTURE:
        found += architecture.glob(pattern)
    for path in sorted(set(found)):
        if path.is_file() and path.suffix not in _BUILT:
            yield path.relative_to(built)


def copy_headers(built: Path, folder: Path) -> None:
    """Copy what builds a module into a folder."""
    for name in header_files(built):
        copied = folder / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(built / name, copied)
