# SPDX-License-Identifier: GPL-2.0-only
"""A kernel in the cache, where its files come from, and what describes it.

Whatever it comes from, its folder is laid out alike: Image, the modules below usr/lib/modules, the
headers below usr/src, as unpacked packages of Debian would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from carveout.archive.debs import GoneError
from carveout.archive.package import Package, PackageSet
from carveout.archive.unpacked import lost
from carveout.common.cache import sound_folder
from carveout.common.files import sha256_of
from carveout.common.schemas import load_sealed
from carveout.kernels.built import BuiltKernel
from carveout.kernels.debian import DebianKernel
from carveout.kernels.own import TakenKernel
from carveout.kernels.parts import check_page_size


class Origin(Protocol):
    """Where a kernel's files come from."""

    def root(self) -> Path:
        """Return the folder of the cache with its files, made now if the cache lacks it."""

    @property
    def version(self) -> str:
        """What tells it from others of its name, in tables and labels."""

    def to_json(self) -> Mapping[str, Any]:
        """Return what kernel.json says of it, without any path of this machine."""


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


def packaged(
    used: PackageSet, config: str | None = None, patches: Mapping[str, str] | None = None
) -> Origin:
    """Return where the files of a kernel of packages come from.

    Args:
        used: the packages that it really is, or is built from.
        config: of a kernel that is built, what it is built with.
        patches: of a kernel that is built, what is changed in its source, by name, in this order.
    """
    if config is None:
        return DebianKernel(used)
    (source,) = used.packages.values()
    return BuiltKernel(source, config, patches or {})


def describe_kernel(
    name: str, page_bytes: int, origin: Origin, pinned: str, where: str
) -> dict[str, Any]:
    """Return a description of a kernel, without any path of this machine.

    Args:
        name: as the config has it.
        page_bytes: as stated.
        origin: where its files come from.
        pinned: the version that was pinned.
        where: who states the page size, for the error.
    """
    root = sound_folder(origin.root)
    check_page_size((root / "Image").read_bytes(), page_bytes, where)
    return {
        "kernel": name,
        "release": _release(root),
        "version": origin.version,
        "pinned": pinned,
        "page_bytes": page_bytes,
        "image_sha256": sha256_of(root / "Image"),
        **origin.to_json(),
    }


def unpacked_kernel(description: Path, *parts: str) -> Kernel:
    """Return the kernel that a file describes, unpacked or built again when need be.

    Args:
        description: the file.
        parts: what is read of the kernel's folder, if not all is: `Image` for instance.
    """
    content = load_sealed(description, "kernel")
    try:
        root = sound_folder(_origin(content, description).root, *parts)
    except GoneError as error:
        raise lost(error, description.parents[2] / "lock.yaml") from error
    return Kernel(content["release"], content["page_bytes"], root)


def _origin(content: Mapping[str, Any], description: Path) -> Origin:
    if "own" in content:
        return TakenKernel(content["kernel"], content["own"], description)
    packages = [Package.from_json(package, str(description)) for package in content["packages"]]
    patches = {patch["name"]: patch["content"] for patch in content.get("patches", [])}
    used = PackageSet({package.name: package for package in packages})
    return packaged(used, content.get("config"), patches)


def _release(root: Path) -> str:
    (modules,) = (root / "usr/lib/modules").iterdir()
    return modules.name
