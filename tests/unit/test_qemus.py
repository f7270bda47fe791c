# SPDX-License-Identifier: GPL-2.0-only
"""QEMUs: a pinned one comes from the cache, another is the host's, and both have a description."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from carveout.archive import emulators as qemus
from carveout.archive.packages import Package
from carveout.archive.pins import QEMU_PROGRAM
from carveout.common.errors import CarveoutError
from carveout.guests.command_line import synchronous_args
from tests.unit.made_packages import made_deb

PINS = Path("pins.yaml")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/carveout"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """The one package of a pinned QEMU named `made`, which says that it is version 10.0."""
    package = made_deb(tmp_path, "made", {QEMU_PROGRAM: b"not run here"})
    monkeypatch.setattr(qemus, "read_qemus", lambda _: {"made": [package]})
    monkeypatch.setattr(qemus, "qemu_version", lambda _: "10.0")
    return package


def described(folder: Path, name: str) -> Path:
    """The file that describes a QEMU."""
    path = folder / "qemu.json"
    path.write_text(json.dumps(qemus.describe_qemu(name, PINS)))
    return path


@pytest.mark.usefixtures("package")
def test_a_pinned_qemu_is_a_wrapper_in_the_cache(tmp_path: Path, cache: Path) -> None:
    program = Path(qemus.qemu_program(str(described(tmp_path, "made"))))
    assert program.is_relative_to(cache)
    assert program.name == "qemu-system-aarch64"
    assert program.read_text().startswith("#!/bin/sh\n")
    assert program.with_name("qemu-system-aarch64.elf").read_bytes() == b"not run here"


def test_a_description_holds_version_and_packages_and_no_path(
    tmp_path: Path, package: Package
) -> None:
    content = json.loads(described(tmp_path, "made").read_text())
    assert content["version"] == "10.0"
    assert [entry["sha256"] for entry in content["packages"]] == [package.sha256]
    assert str(tmp_path) not in json.dumps(content)


@pytest.mark.usefixtures("package")
def test_a_lost_cache_is_made_again_from_the_description(tmp_path: Path, cache: Path) -> None:
    description = described(tmp_path, "made")
    shutil.rmtree(cache / "qemus")
    assert Path(qemus.qemu_program(str(description))).exists()


def test_a_corrupt_package_is_refused_and_nothing_is_left(cache: Path, package: Package) -> None:
    (cache / f"archive/{package.sha256}.deb").write_bytes(b"damaged")
    with pytest.raises(CarveoutError, match=r"is corrupt: .*pins.yaml: made"):
        qemus.describe_qemu("made", PINS)
    assert list((cache / "qemus").iterdir()) == []


@pytest.mark.usefixtures("package")
def test_a_program_is_started_by_the_name_that_the_config_has(tmp_path: Path) -> None:
    assert qemus.qemu_program(str(described(tmp_path, "sh"))) == "sh"
    assert qemus.qemu_program("qemu-system-aarch64") == "qemu-system-aarch64"


@pytest.mark.usefixtures("package")
def test_a_name_that_is_neither_lists_the_known() -> None:
    with pytest.raises(CarveoutError) as error:
        qemus.describe_qemu("debian-0.1", PINS)
    assert str(error.value) == (
        "key qemu of the config: wanted the program debian-0.1, found none in PATH; "
        "run envs/install.sh, or name one of pins.yaml: made"
    )


def test_the_identity_is_the_version_or_the_pins(package: Package) -> None:
    known = {"made": [package], "other": [replace(package, sha256="0" * 64)]}
    moved = {"made": [replace(package, pin="elsewhere", suites=("x",))]}
    assert qemus.qemu_identity("sh", known) == "10.0"
    assert qemus.qemu_identity("made", known) == qemus.qemu_identity("made", moved)
    assert qemus.qemu_identity("made", known) != qemus.qemu_identity("other", known)


def test_what_is_no_program_has_no_identity() -> None:
    assert qemus.qemu_identity("qemu-system-abacus", {}) is None


def test_virtio_devices_that_have_another_thread_are_told_not_to(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text(
        '#!/bin/sh\n[ "$*" = "-device virtio-new-pci,help" ] && echo "  ioeventfd=<bool>"\n'
    )
    qemu.chmod(0o755)
    args = ["-device", "virtio-new-pci,id=a", "-device", "virtio-old-pci", "-device", "other"]
    assert synchronous_args(str(qemu), args) == ["-global", "virtio-new-pci.ioeventfd=off"]
    assert synchronous_args("no such program, nor asked", ["-m", "1G"]) == []
