# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: unpacking and module order, on a made kernel of a few bytes."""

import gzip
import json
import lzma
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from carveout.archive.package import PackageSet
from carveout.common.errors import CarveoutError
from carveout.common.schemas import write_sealed
from carveout.initramfs import kernel_modules as modules
from carveout.kernels.debian import DebianKernel
from carveout.kernels.kernel import Kernel, describe_kernel, unpacked_kernel
from tests.unit.made_archive import Archive
from tests.unit.made_packages import LIBRARIES, arm64_image, host_program, libc_files, made_deb

RELEASE = "6.12.9+deb13-arm64"
PINNED = "6.12.8-1"
SCRIPTS = "usr/lib/linux-kbuild-6.12.9+deb13/scripts"


pytestmark = pytest.mark.usefixtures("cache")


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


def made_kernel(folder: Path, image: bytes) -> PackageSet:
    """A kernel of two packages, with the C library that its kbuild needs, all in the cache."""
    modules = f"usr/lib/modules/{RELEASE}"
    files = {
        f"boot/vmlinuz-{RELEASE}": image,
        f"{modules}/modules.builtin": b"kernel/drivers/virtio/virtio-pci.ko\n",
        f"{modules}/kernel/a.ko.xz": lzma.compress(elf_module("b-one,virtio_pci")),
        f"{modules}/kernel/deep/b-one.ko": elf_module("c"),
        f"{modules}/kernel/c.ko.gz": gzip.compress(elf_module("")),
        f"{modules}/kernel/broken.ko": elf_module("absent"),
    }
    scripts = {f"{SCRIPTS}/basic/fixdep": host_program("cat"), f"{SCRIPTS}/mksysmap": b"#!/bin/sh"}
    made_deb(folder, "libc6", libc_files("cat"), version="2.36-9", architecture="amd64")
    return PackageSet(
        {
            "image": made_deb(folder, "image", files, version="6.12.9-1"),
            "kbuild": made_deb(folder, "kbuild", scripts, architecture="amd64"),
        }
    )


def described(folder: Path, packages: PackageSet) -> Path:
    """The file that describes a kernel, in its results folder."""
    path = folder / "results/kernels/made/kernel.json"
    origin = DebianKernel(packages)
    write_sealed(path, describe_kernel("made", 4096, origin, PINNED, "made.yaml: made"))
    return path


def unpacked(folder: Path, packages: PackageSet) -> Kernel:
    """The made kernel, by way of its description."""
    return unpacked_kernel(described(folder, packages))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_image_is_raw_whatever_the_package_holds(tmp_path: Path, pack: Any) -> None:
    kernel = unpacked(tmp_path, made_kernel(tmp_path, pack(arm64_image())))
    assert kernel.image.read_bytes() == arm64_image()
    assert kernel.release == RELEASE
    assert kernel.page_bytes == 4096


def test_description_holds_what_is_used_and_no_path_of_the_machine(tmp_path: Path) -> None:
    packages = made_kernel(tmp_path, arm64_image())
    content = describe_kernel("made", 4096, DebianKernel(packages), PINNED, "made.yaml: made")
    assert content["release"] == RELEASE
    assert (content["version"], content["pinned"]) == ("6.12.9-1", PINNED)
    assert [package["name"] for package in content["packages"]] == ["image", "kbuild"]
    assert str(tmp_path) not in json.dumps(content)


def test_programs_of_kbuild_run_here_and_scripts_stay(tmp_path: Path) -> None:
    kernel = unpacked(tmp_path, made_kernel(tmp_path, arm64_image()))
    program = kernel.root / SCRIPTS / "basic/fixdep"
    assert program.read_bytes().startswith(b"#!/bin/sh")
    said = subprocess.run([program, "/proc/self/maps"], capture_output=True, text=True, check=True)
    assert str(kernel.root / LIBRARIES / "libc.so.6") in said.stdout
    assert (kernel.root / SCRIPTS / "mksysmap").read_bytes() == b"#!/bin/sh"


def test_tools_are_remembered_and_are_no_part_of_what_is_used(tmp_path: Path) -> None:
    packages = made_kernel(tmp_path, arm64_image())
    before = DebianKernel(packages).unpacked()
    assert [(tool.name, tool.version) for tool in before.tools()] == [("libc6", "2.36-9")]
    made_deb(tmp_path, "libc6", {"newer": b""}, version="2.41-1", architecture="amd64")
    assert DebianKernel(packages).unpacked() == before
    assert [tool.version for tool in DebianKernel(packages).unpacked().tools()] == ["2.36-9"]


def test_lost_cache_is_made_again_from_the_description(tmp_path: Path) -> None:
    description = described(tmp_path, made_kernel(tmp_path, arm64_image()))
    shutil.rmtree(unpacked_kernel(description).root)
    assert unpacked_kernel(description).image.exists()


def test_kernel_that_cache_and_archive_lost_names_the_lock_to_remove(
    tmp_path: Path, cache: Path, archive: Archive
) -> None:
    archive.publish()
    packages = made_kernel(tmp_path, arm64_image())
    description = described(tmp_path, packages)
    shutil.rmtree(cache / "kernels")
    (cache / f"archive/{packages.packages['image'].sha256}.deb").unlink()
    with pytest.raises(CarveoutError) as error:
        unpacked_kernel(description)
    assert str(error.value) == (
        f"image 6.12.9-1 ({description}) is gone from suite made, and so is it from the cache; "
        f"remove {tmp_path}/results/lock.yaml, and the next run takes what replaced it, "
        "for all trials"
    )


def test_other_format_of_image_is_refused_and_nothing_is_left(tmp_path: Path, cache: Path) -> None:
    packages = made_kernel(tmp_path, b"MZ" + bytes(100))
    with pytest.raises(CarveoutError, match="wanted an arm64 Image, raw or gzipped"):
        describe_kernel("made", 4096, DebianKernel(packages), PINNED, "made.yaml: made")
    assert list((cache / "kernels").iterdir()) == []


def test_page_size_that_is_not_the_images_is_refused(tmp_path: Path) -> None:
    packages = made_kernel(tmp_path, arm64_image(page_flag=2))
    with pytest.raises(
        CarveoutError, match="wanted page_bytes 4096 as stated, the image has 16384"
    ):
        describe_kernel("made", 4096, DebianKernel(packages), PINNED, "made.yaml: made")


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    kernel = unpacked(tmp_path, made_kernel(tmp_path, arm64_image()))
    found = modules.resolve_modules(kernel, ["a", "c", "virtio-pci"])
    assert [module.name for module in found] == ["c", "b_one", "a"]
    assert found[2].content == elf_module("b-one,virtio_pci")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nosuch", "no module nosuch, wanted by name"), ("broken", "no module absent, which broken")],
)
def test_missing_module_is_named(tmp_path: Path, name: str, message: str) -> None:
    kernel = unpacked(tmp_path, made_kernel(tmp_path, arm64_image()))
    with pytest.raises(CarveoutError, match=message):
        modules.resolve_modules(kernel, [name])
