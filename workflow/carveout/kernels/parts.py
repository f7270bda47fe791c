# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a built kernel: what its Image says of itself, and what builds a module for it."""

import gzip
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from carveout.common.errors import CarveoutError

# linux/Documentation/arch/arm64/booting.rst
_MAGIC_OFFSET = 0x38
_FLAGS_OFFSET = 0x18
_PAGE_BYTES_OF_FLAG = {1: 4096, 2: 16384, 3: 65536}
# linux/init/version-timestamp.c
_BANNER = re.compile(rb"Linux version ([^ %]+) ")
# What scripts/package/install-extmod-build takes too: in its output, that is all.
_FILES = ("Makefile", "Module.symvers", ".config")
_FOLDERS = ("include", "scripts")
_OF_ARCHITECTURE = ("Makefile*", "Kbuild*", "Kconfig*")
_BUILT = (".o", ".a", ".cmd")
RELEASE = "include/config/kernel.release"


def read_image(path: Path, where: str) -> bytes:
    """Return the raw Image of a file, which may be gzipped.

    Args:
        path: the file.
        where: what the error calls it.

    Raises:
        CarveoutError: it is in another format, or of another architecture.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content[_MAGIC_OFFSET:][:4] != b"ARM\x64":
        raise CarveoutError(
            f"{where}: wanted an arm64 Image, raw or gzipped, found another format "
            f"({content[:8].hex()}); carveout cannot boot it"
        )
    return content


def check_page_size(image: bytes, page_bytes: int, where: str) -> None:
    """Refuse a raw Image whose pages are not of `page_bytes` bytes; `where` is who states that."""
    (flags,) = struct.unpack_from("<Q", image, _FLAGS_OFFSET)
    found = _PAGE_BYTES_OF_FLAG.get(flags >> 1 & 3)
    if found != page_bytes:
        raise CarveoutError(
            f"{where}: wanted page_bytes {page_bytes} as stated, the image has {found}"
        )


def releases_of(image: bytes) -> list[str]:
    """Return the releases that a raw Image says it is of: one, or none when it hides it."""
    return list(dict.fromkeys(found.decode() for found in _BANNER.findall(image)))


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
