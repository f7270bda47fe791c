# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: unpacking and module order, on a made kernel of a few bytes."""

import gzip
import json
import lzma
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from carveout.archive import kernels
from carveout.archive.kernels import Kernel
from carveout.archive.pins import KernelPin
from carveout.common.errors import CarveoutError
from carveout.initramfs import kernel_modules as modules
from tests.unit.made_packages import made_deb

RELEASE = "6.12.9+deb13-arm64"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/carveout"


def arm64_image(page_flag: int = 1) -> bytes:
    """The head of an arm64 Image that says its page size."""
    head = bytearray(64)
    struct.pack_into("<Q", head, 0x18, page_flag << 1)
    head[0x38:0x3C] = b"ARM\x64"
    return bytes(head)


def elf_module(depends: str) -> bytes:
    """An ELF file with nothing but the section .modinfo."""
    modinfo = b"license=GPL\0depends=" + depends.encode() + b"\0"
    names = b"\0.modinfo\0.shstrtab\0"
    sections = [(0, 0, 0), (1, 64, len(modinfo)), (10, 64 + len(modinfo), len(names))]
    body = bytearray(64) + modinfo + names
    struct.pack_into("<Q", body, 0x28, len(body))
    struct.pack_into("<HHH", body, 0x3A, 64, len(sections), 2)
    for name, offset, size in sections:
        body += struct.pack("<IIQQQQ", name, 1, 0, 0, offset, size).ljust(64, b"\0")
    return bytes(body)


def made_kernel(folder: Path, image: bytes) -> KernelPin:
    """A kernel of one package."""
    modules = f"usr/lib/modules/{RELEASE}"
    package = made_deb(
        folder,
        "image",
        {
            f"boot/vmlinuz-{RELEASE}": image,
            f"{modules}/modules.builtin": b"kernel/drivers/virtio/virtio-pci.ko\n",
            f"{modules}/kernel/a.ko.xz": lzma.compress(elf_module("b-one,virtio_pci")),
            f"{modules}/kernel/deep/b-one.ko": elf_module("c"),
            f"{modules}/kernel/c.ko.gz": gzip.compress(elf_module("")),
            f"{modules}/kernel/broken.ko": elf_module("absent"),
        },
    )
    return KernelPin("made", 4096, {"image": package})


def unpacked(pin: KernelPin, folder: Path) -> Kernel:
    """The made kernel, by way of its description."""
    description = folder / "kernel.json"
    description.write_text(json.dumps(kernels.unpack_kernel(pin)))
    return kernels.unpacked_kernel(description)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_image_is_raw_whatever_the_package_holds(tmp_path: Path, pack: Any) -> None:
    kernel = unpacked(made_kernel(tmp_path, pack(arm64_image())), tmp_path)
    assert kernel.image.read_bytes() == arm64_image()
    assert kernel.release == RELEASE
    assert kernel.page_bytes == 4096


def test_description_holds_no_path_of_the_machine(tmp_path: Path) -> None:
    description = kernels.unpack_kernel(made_kernel(tmp_path, arm64_image()))
    assert str(tmp_path) not in json.dumps(description)


def test_lost_cache_is_made_again_from_the_description(tmp_path: Path) -> None:
    kernel = unpacked(made_kernel(tmp_path, arm64_image()), tmp_path)
    subprocess.run(["rm", "-r", kernel.root], check=True)
    assert kernels.unpacked_kernel(tmp_path / "kernel.json").image.exists()


def test_other_format_of_image_is_refused_and_nothing_is_left(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(CarveoutError, match="wanted an arm64 Image, raw or gzipped"):
        kernels.unpack_kernel(made_kernel(tmp_path, b"MZ" + bytes(100)))
    assert list((cache / "kernels").iterdir()) == []


def test_corrupt_package_is_refused_and_nothing_is_left(tmp_path: Path, cache: Path) -> None:
    pin = made_kernel(tmp_path, arm64_image())
    (cache / f"archive/{pin.packages['image'].sha256}.deb").write_bytes(b"damaged")
    with pytest.raises(CarveoutError, match="is corrupt"):
        kernels.unpack_kernel(pin)
    assert not (cache / "kernels").exists() or list((cache / "kernels").iterdir()) == []


def test_page_size_that_is_not_the_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CarveoutError, match="wanted page_bytes 4096 as stated, the image has 16384"
    ):
        kernels.unpack_kernel(made_kernel(tmp_path, arm64_image(page_flag=2)))


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    kernel = unpacked(made_kernel(tmp_path, arm64_image()), tmp_path)
    found = modules.resolve_modules(kernel, ["a", "c", "virtio-pci"])
    assert [module.name for module in found] == ["c", "b_one", "a"]
    assert found[2].content == elf_module("b-one,virtio_pci")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nosuch", "no module nosuch, wanted by name"), ("broken", "no module absent, which broken")],
)
def test_missing_module_is_named(tmp_path: Path, name: str, message: str) -> None:
    kernel = unpacked(made_kernel(tmp_path, arm64_image()), tmp_path)
    with pytest.raises(CarveoutError, match=message):
        modules.resolve_modules(kernel, [name])
