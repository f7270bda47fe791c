# SPDX-License-Identifier: GPL-2.0-only
"""Pins: bad ones name file and key, and a re-pin changes them and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from carveout.archive.apt import UnreachableError
from carveout.archive.debs import GoneError, fetch
from carveout.archive.package import PackageSet
from carveout.archive.pins import Pins
from carveout.archive.relock import relock
from carveout.common.errors import CarveoutError
from tests.unit.made_archive import Archive, SigningKey
from tests.unit.made_packages import write_pins

KERNELS = Path("config/kernels.yaml")
QEMUS = Path("config/qemus.yaml")
IMAGE = ("kernels", "debian-6.12", "packages", "image")
PROGRAM = ("debian-13", "packages", "program")


def changed(source: Path, folder: Path, keys: Sequence[str], value: object) -> Path:
    """A file of the repository's pins with one key changed, or removed for None."""
    content = yaml.safe_load(source.read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    if value is None:
        del section[keys[-1]]
    path = folder / source.name
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ((*IMAGE, "sha256"), "tooshort"),
        ((*IMAGE, "sha256"), "A" * 64),
        ((*IMAGE, "colour"), "blue"),
        ((*IMAGE, "version"), 6.12),
        ((*IMAGE, "architecture"), "riscv64"),
        ((*IMAGE, "name"), "../escape"),
        (("kernels", "debian-6.12", "packages", "kbuild"), None),
        (("kernels", "debian-6.12", "packages", "libc"), {}),
        (("kernels", "debian-6.12", "page_bytes"), "4096"),
        (("kernels", "debian-6.12", "suites"), []),
        (("kernels", "kasan-6.12", "config"), ["../escape"]),
        (("kernels", "kasan-6.12", "packages", "source"), None),
        (("guest", "packages", "busybox"), None),
        (("lint", "source"), None),
    ],
)
def test_bad_pin_of_a_kernel_names_file_and_key(
    tmp_path: Path, keys: tuple[str, ...], value: object
) -> None:
    path = changed(KERNELS, tmp_path, keys, value)
    with pytest.raises(CarveoutError) as error:
        Pins.read(path, QEMUS)
    message = str(error.value)
    assert message.startswith(f"{path}: key ")
    assert keys[-1] in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kernel", "value", "known"),
    [
        ("debian-6.12", ["base"], "source"),
        ("kasan-6.12", None, "base, headers, headers_common, image"),
    ],
)
def test_a_kernel_is_built_from_source_or_debians_own(
    tmp_path: Path, kernel: str, value: object, known: str
) -> None:
    path = changed(KERNELS, tmp_path, ("kernels", kernel, "config"), value)
    with pytest.raises(CarveoutError, match=f"kernels.{kernel}.packages: .*known are {known}"):
        Pins.read(path, QEMUS)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ((*PROGRAM, "sha256"), "tooshort"),
        (("debian-13", "suite"), ["trixie"]),
        (("debian-13", "suites"), None),
        (("debian-13", "packages", "libc6"), {}),
    ],
)
def test_bad_pin_of_a_qemu_names_file_and_key(
    tmp_path: Path, keys: tuple[str, ...], value: object
) -> None:
    path = changed(QEMUS, tmp_path, keys, value)
    with pytest.raises(CarveoutError) as error:
        Pins.read(KERNELS, path)
    message = str(error.value)
    assert message.startswith(f"{path}: key debian-13")
    assert keys[-1] in message
    assert "\n" not in message


def test_pins_are_of_the_version_of_their_first_package() -> None:
    pins = Pins.read(KERNELS, QEMUS)
    kernel = pins.kernel("debian-6.12")
    assert kernel.version == kernel.packages["image"].version
    assert list(kernel.packages) == ["image", "headers", "headers_common", "kbuild"]
    assert kernel.packages["image"].pin == f"{KERNELS}: kernels.debian-6.12.packages.image"
    assert pins.qemus["debian-13"].packages["program"].pin == f"{QEMUS}: debian-13.packages.program"
    assert set(pins.page_bytes.values()) == {4096, 16384, 65536}
    assert pins.built_with("debian-6.12") is None
    assert "CONFIG_KASAN=y" in (pins.built_with("kasan-6.12") or "")
    assert list(pins.guest.packages) == ["busybox"]


def test_unknown_kernel_lists_the_known() -> None:
    with pytest.raises(
        CarveoutError, match=r"wanted a pinned kernel, found debian-1.0; there are debian-6.1, "
    ):
        Pins.read(KERNELS, QEMUS).kernel("debian-1.0")


@pytest.fixture
def pinned(archive: Archive, tmp_path: Path) -> tuple[Path, Path]:
    """Files of pins, all of them in the archive."""
    kernel = archive.add_kernel("6.12.9+deb13", "6.12.9-1")
    busybox = PackageSet({"busybox": archive.add("busybox-static", "1:1.36")})
    qemu = PackageSet({"program": archive.add("qemu-system-arm", "1:10.0", "amd64")})
    archive.publish()
    return write_pins(tmp_path, {"made": kernel}, busybox, {"other": qemu})


def test_relock_of_the_newest_changes_nothing(pinned: tuple[Path, Path]) -> None:
    for path, schema in zip(pinned, ("kernels", "qemus"), strict=True):
        content = yaml.safe_load(path.read_text())
        assert relock(path, schema) == []
        assert yaml.safe_load(path.read_text()) == content


def test_relock_keeps_series_and_first_comment_and_changes_pins(
    archive: Archive, pinned: tuple[Path, Path]
) -> None:
    newer = archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    archive.add_kernel("6.13.1+deb13", "6.13.1-1")
    archive.drop(archive.add_kernel("6.12.11+deb13", "6.12.11-1").packages["image"])
    archive.publish()
    path = pinned[0]
    other = yaml.safe_load(path.read_text())
    changes = relock(path, "kernels")
    assert changes == [
        f"{name} 6.12.9-1 ({path}: kernels.made.packages.{role}) -> 6.12.10-1"
        for role, name in {
            "image": "linux-image-6.12.9+deb13-arm64",
            "headers": "linux-headers-6.12.9+deb13-arm64",
            "headers_common": "linux-headers-6.12.9+deb13-common",
            "kbuild": "linux-kbuild-6.12.9+deb13",
        }.items()
    ]
    text = path.read_text()
    assert text.startswith("# first comment\n# goes on\nkernels:\n")
    assert all(len(line) < 250 and "{" in line for line in text.splitlines() if "sha256" in line)
    assert [
        (package.name, package.sha256)
        for package in Pins.read(*pinned).kernel("made").packages.values()
    ] == [(package.name, package.sha256) for package in newer.packages.values()]
    content = yaml.safe_load(text)
    assert content["kernels"]["made"].pop("packages") != other["kernels"]["made"].pop("packages")
    assert content == other


def test_relock_pins_what_vanished_anew(archive: Archive, pinned: tuple[Path, Path]) -> None:
    old = Pins.read(*pinned).qemus["other"].packages["program"]
    archive.drop(replace(old, pin="pins.yaml: qemu-system-arm"))
    newer = archive.add("qemu-system-arm", "1:10.1", "amd64")
    archive.publish()
    assert relock(pinned[1], "qemus") == [f"{old} -> 1:10.1"]
    assert Pins.read(*pinned).qemus["other"].packages["program"].sha256 == newer.sha256


def test_relock_of_a_series_that_is_gone_leaves_the_file(
    archive: Archive, pinned: tuple[Path, Path]
) -> None:
    archive.drop_set(replaced_pins(Pins.read(*pinned).kernel("made")))
    archive.publish()
    before = pinned[0].read_text()
    with pytest.raises(GoneError, match=r"linux-image-6.12.9.* is in none of the suites made"):
        relock(pinned[0], "kernels")
    assert pinned[0].read_text() == before


def replaced_pins(packages: PackageSet) -> PackageSet:
    """Packages as the archive's maker has returned them."""
    return PackageSet(
        {role: replace(p, pin=f"pins.yaml: {p.name}") for role, p in packages.packages.items()}
    )


def test_relock_does_not_take_the_cache_for_the_archive(
    archive: Archive, pinned: tuple[Path, Path]
) -> None:
    fetch(list(Pins.read(*pinned).kernel("made").packages.values()))
    archive.vanish()
    with pytest.raises(UnreachableError, match="does not answer"):
        relock(pinned[0], "kernels")


def test_relock_pins_nothing_of_a_false_archive(
    archive: Archive, pinned: tuple[Path, Path], other_key: SigningKey
) -> None:
    archive.key = other_key
    archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    archive.publish()
    before = pinned[0].read_text()
    with pytest.raises(CarveoutError, match="signature"):
        relock(pinned[0], "kernels")
    assert pinned[0].read_text() == before
