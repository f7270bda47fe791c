# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, unpacked in the cache, and what describes them."""

import gzip
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.archive.debs import GoneError, newest_of
from carveout.archive.package import Package, PackageSet
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.machines.built import Recipe, built
from carveout.machines.foreign import wrap_program
from carveout.machines.unpacked import Unpacked, lost, unpacked_together

# linux/Documentation/arch/arm64/booting.rst
_ARM64_MAGIC_OFFSET = 0x38
_ARM64_FLAGS_OFFSET = 0x18
_PAGE_BYTES_OF_FLAG = {1: 4096, 2: 16384, 3: 65536}


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel. Its paths lie in the cache and are never to be recorded."""

    release: str
    page_bytes: int
    root: Path

    @property
    def image(self) -> Path:
        """The raw Image that QEMU boots."""
        return self.root / "Image"

    @property
    def modules(self) -> Path:
        """The folder of the kernel's own modules."""
        return self.root / "usr/lib/modules" / self.release

    @property
    def headers(self) -> Path:
        """The folder of the headers of this kernel's own configuration."""
        return self.root / "usr/src" / f"linux-headers-{self.release}"

    @property
    def headers_common(self) -> Path:
        """The headers that this kernel's configurations share; the top Makefile lies there."""
        shared = list(self.root.glob("usr/src/linux-headers-*-common"))
        return shared[0] if shared else self.headers  # a built kernel has one configuration


def describe_kernel(
    name: str, page_bytes: int, used: PackageSet, pinned: str, config: str | None = None
) -> dict[str, Any]:
    """Return a description of an unpacked or built kernel, without any path of this machine.

    Args:
        name: as kernels.yaml has it.
        page_bytes: as stated there.
        used: the packages that it really is, or is built from.
        pinned: the version that was pinned.
        config: of a kernel that is built, what it is built with.
    """
    packages = list(used.packages.values())
    root = _root(packages, config)
    _check_page_size(root / "Image", page_bytes, packages[0])
    description = {
        "kernel": name,
        "release": _release(root),
        "version": used.version,
        "pinned": pinned,
        "page_bytes": page_bytes,
        "image_sha256": sha256_of(root / "Image"),
        "packages": [package.to_json() for package in packages],
    }
    return description if config is None else description | {"config": config}


def unpacked_kernel(description: Path) -> Kernel:
    """Return the kernel that a file describes, unpacked or built again when need be."""
    content = json.loads(description.read_text(encoding="utf-8"))
    packages = [Package.from_json(package, str(description)) for package in content["packages"]]
    try:
        root = _root(packages, content.get("config"))
    except GoneError as error:
        raise lost(error, description.parents[2] / "lock.yaml") from error
    return Kernel(content["release"], content["page_bytes"], root)


def unpacked(packages: Sequence[Package]) -> Unpacked:
    """Return the packages of a kernel, unpacked so that kbuild's programs can run here."""

    def find_tools() -> list[Package]:
        return [newest_of("libc6", "amd64", packages[0].suites, packages[0].pin)]

    def finish(folder: Path) -> None:
        _write_image(folder)
        for program in sorted(folder.glob("usr/lib/linux-kbuild-*/scripts/**/*")):
            if program.is_file() and not program.is_symlink() and _is_program(program):
                wrap_program(program, folder)

    return unpacked_together("kernels", packages, find_tools, finish)


def _root(packages: Sequence[Package], config: str | None) -> Path:
    if config is None:
        return unpacked(packages).root
    (source,) = packages
    return built(Recipe(source, config))


def _release(root: Path) -> str:
    (modules,) = (root / "usr/lib/modules").iterdir()
    return modules.name


def _write_image(root: Path) -> None:
    """Put the raw Image at the root; Debian calls it vmlinuz, and some kernels are compressed.

    It lies beside the modules where image and modules are packages of their own.
    """
    (vmlinuz,) = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
    content = vmlinuz.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content[_ARM64_MAGIC_OFFSET:][:4] != b"ARM\x64":
        raise CarveoutError(
            f"{vmlinuz.name}: wanted an arm64 Image, raw or gzipped, found another format "
            f"({content[:8].hex()}); carveout cannot boot it"
        )
    (root / "Image").write_bytes(content)
    vmlinuz.unlink()


def _check_page_size(image: Path, page_bytes: int, package: Package) -> None:
    with image.open("rb") as stream:
        (flags,) = struct.unpack_from("<Q", stream.read(64), _ARM64_FLAGS_OFFSET)
    found = _PAGE_BYTES_OF_FLAG.get(flags >> 1 & 3)
    if found != page_bytes:
        raise CarveoutError(
            f"{package}: wanted page_bytes {page_bytes} as stated, the image has {found}"
        )


def _is_program(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"
