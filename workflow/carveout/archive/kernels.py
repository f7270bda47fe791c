# SPDX-License-Identifier: GPL-2.0-only
"""The pinned kernels, unpacked in the cache."""

import argparse
import gzip
import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carveout.archive.foreign import wrap_program
from carveout.archive.packages import Package, fetch, unpack
from carveout.archive.pins import KernelPin, kernel_pin, pinned_package
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import sha256_of, sha256_of_json, write_atomically, write_json_atomically

_UNPACKING = 1  # goes up when the way of unpacking changes, so that older folders are not used
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
        """The headers of this very configuration."""
        return self.root / "usr/src" / f"linux-headers-{self.release}"

    @property
    def headers_common(self) -> Path:
        """The headers that this kernel's configurations share; the top Makefile lies there."""
        (folder,) = self.root.glob("usr/src/linux-headers-*-common")
        return folder


def unpack_kernel(pin: KernelPin) -> dict[str, Any]:
    """Fetch and unpack a kernel and return what describes it, without any path of this machine."""
    root = _unpacked(list(pin.packages.values()))
    image = root / "Image"
    release = _release(root)
    _check_page_size(pin, image)
    return {
        "kernel": pin.name,
        "release": release,
        "page_bytes": pin.page_bytes,
        "image_sha256": sha256_of(image),
        "packages": [asdict(package) for package in pin.packages.values()],
    }


def unpacked_kernel(description: Path) -> Kernel:
    """Return the kernel that `unpack_kernel` described in a file, unpacked again when need be."""
    content = json.loads(description.read_text(encoding="utf-8"))
    packages = [Package.from_json(package) for package in content["packages"]]
    return Kernel(content["release"], content["page_bytes"], _unpacked(packages))


def unpacked_package(package: Package) -> Path:
    """Return the folder of the cache where one package lies unpacked."""
    return cached_folder(
        "packages", package.sha256, lambda folder: unpack(fetch([package]), folder)
    )


def _unpacked(packages: Sequence[Package]) -> Path:
    digest = sha256_of_json([_UNPACKING, sorted(package.sha256 for package in packages)])

    def fill(folder: Path) -> None:
        unpack(fetch(packages), folder)
        _write_image(folder)
        for program in sorted(folder.glob("usr/lib/linux-kbuild-*/scripts/**/*")):
            if program.is_file() and not program.is_symlink() and _is_program(program):
                wrap_program(program, folder)

    return cached_folder("kernels", digest, fill)


def _release(root: Path) -> str:
    (modules,) = (root / "usr/lib/modules").iterdir()
    return modules.name


def _write_image(root: Path) -> None:
    """Put the raw Image at the root; Debian calls it vmlinuz, and some kernels are compressed."""
    (vmlinuz,) = (root / "boot").glob("vmlinuz-*")
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


def _check_page_size(pin: KernelPin, image: Path) -> None:
    with image.open("rb") as stream:
        (flags,) = struct.unpack_from("<Q", stream.read(64), _ARM64_FLAGS_OFFSET)
    found = _PAGE_BYTES_OF_FLAG.get(flags >> 1 & 3)
    if found != pin.page_bytes:
        image_pin = pin.packages["image"]
        raise CarveoutError(
            f"{image_pin}: wanted page_bytes {pin.page_bytes} as stated, the image has {found}"
        )


def _is_program(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.archive.kernels", description=__doc__)
    parser.add_argument("--pins", type=Path, default=Path("config/kernels.yaml"))
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("unpack", help="fetch and unpack a kernel, write what describes it")
    one.add_argument("kernel")
    one.add_argument("output", type=Path)
    one = commands.add_parser("busybox", help="fetch the guest's busybox")
    one.add_argument("output", type=Path)
    return parser.parse_args()


@entry_point
def main() -> None:
    """Run one of the commands."""
    args = _arguments()
    match args.command:
        case "unpack":
            write_json_atomically(args.output, unpack_kernel(kernel_pin(args.pins, args.kernel)))
        case "busybox":
            folder = unpacked_package(pinned_package(args.pins, "guest", "busybox"))
            (program,) = folder.glob("**/bin/busybox")
            write_atomically(args.output, program.read_bytes())


if __name__ == "__main__":
    raise SystemExit(main())
