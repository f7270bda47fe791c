# SPDX-License-Identifier: GPL-2.0-only
"""QEMUs: a pinned one comes from the cache, another is the host's, and both have a description.

The host's bash stands for a QEMU, since it says its version in the same words.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from carveout.archive.apt import UnreachableError
from carveout.archive.debs import fetch
from carveout.archive.package import Package, PackageSet
from carveout.common.errors import CarveoutError
from carveout.common.schemas import write_sealed
from carveout.guests.command_line import synchronous_args
from carveout.machines import emulators
from carveout.machines.emulators import QEMU_PROGRAM
from tests.unit.made_archive import Archive
from tests.unit.made_packages import host_program, libc_files

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def pinned(archive: Archive) -> PackageSet:
    """The pin of a QEMU in the archive, beside a library that it needs and one that it does not."""
    archive.add("libc6", "2.41-1", "amd64", files=libc_files("bash"))
    archive.add("libother", "1", "amd64")
    files = {QEMU_PROGRAM: host_program("bash")}
    depends = "libc6 (>= 2.40), libother"
    program = archive.add("qemu-system-arm", "1:10.0", "amd64", depends=depends, files=files)
    archive.publish()
    return PackageSet({"program": program})


def program_of(packages: PackageSet) -> Package:
    """The one package of a QEMU."""
    return packages.packages["program"]


def described(folder: Path, packages: PackageSet) -> Path:
    """The file that describes a QEMU."""
    path = folder / "qemu.json"
    write_sealed(path, emulators.describe_qemu("other", packages))
    return path


def test_a_pinned_qemu_runs_with_the_libraries_of_its_suite(
    tmp_path: Path, cache: Path, pinned: PackageSet
) -> None:
    program = Path(emulators.qemu_program(str(described(tmp_path, pinned))))
    assert program.is_relative_to(cache)
    assert program.name == "qemu-system-aarch64"
    assert program.read_text().startswith("#!/bin/sh\n")
    command = [str(program), "-c", 'while read -r line; do echo "$line"; done </proc/self/maps']
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    mapped = {Path(path) for path in re.findall(r" (/.*\.so.*)$", said, re.MULTILINE)}
    assert mapped
    assert all(path.is_relative_to(cache) for path in mapped)


def test_a_description_holds_version_and_package_and_no_path(
    tmp_path: Path, pinned: PackageSet
) -> None:
    content = json.loads(described(tmp_path, pinned).read_text())
    assert content["qemu"] == "other"
    assert re.fullmatch(r"\d+\.\d+.*", content["version"])
    assert content["packages"] == [program_of(pinned).to_json()]
    assert str(tmp_path) not in json.dumps(content)


def test_libraries_are_tools_and_only_those_that_are_linked_to(pinned: PackageSet) -> None:
    tools = emulators.unpacked([program_of(pinned)]).tools()
    assert [(tool.name, tool.version) for tool in tools] == [("libc6", "2.41-1")]


def test_a_pin_that_only_the_cache_has_runs_with_the_suites_libraries(
    archive: Archive, pinned: PackageSet
) -> None:
    fetch([program_of(pinned)])
    archive.drop_set(pinned)
    archive.add("qemu-system-arm", "1:10.1", "amd64", depends="nosuch")
    archive.publish()
    tools = emulators.unpacked([program_of(pinned)]).tools()
    assert [tool.name for tool in tools] == ["libc6"]


def test_an_unpacked_qemu_needs_no_archive(archive: Archive, pinned: PackageSet) -> None:
    before = emulators.unpacked([program_of(pinned)])
    archive.vanish()
    assert emulators.unpacked([program_of(pinned)]) == before


def test_a_lost_cache_is_made_again_from_the_description(
    tmp_path: Path, cache: Path, pinned: PackageSet
) -> None:
    description = described(tmp_path, pinned)
    shutil.rmtree(cache / "qemus")
    assert Path(emulators.qemu_program(str(description))).exists()


def test_a_qemu_that_cache_and_archive_lost_names_the_lock_to_remove(
    tmp_path: Path, cache: Path, archive: Archive, pinned: PackageSet
) -> None:
    description = described(tmp_path, pinned)
    archive.drop_set(pinned)
    archive.publish()
    shutil.rmtree(cache / "qemus")
    shutil.rmtree(cache / "archive")
    with pytest.raises(CarveoutError) as error:
        emulators.qemu_program(str(description))
    assert str(error.value) == (
        f"qemu-system-arm 1:10.0 ({description}) is gone from suite made, and so is it from the "
        f"cache; remove {tmp_path}/lock.yaml, and the next run takes what replaced it, "
        "for all trials"
    )


def test_a_damaged_package_while_nobody_answers_leaves_nothing(
    archive: Archive, cache: Path, pinned: PackageSet
) -> None:
    (deb,) = fetch([program_of(pinned)])
    deb.write_bytes(b"damaged")
    archive.vanish()
    with pytest.raises(UnreachableError, match="suite made does not answer"):
        emulators.describe_qemu("other", pinned)
    assert list((cache / "qemus").iterdir()) == []


def test_a_qemu_whose_libraries_cannot_be_asked_for_waits(
    archive: Archive, cache: Path, pinned: PackageSet
) -> None:
    fetch([program_of(pinned)])
    archive.vanish()
    with pytest.raises(UnreachableError, match="does not answer"):
        emulators.describe_qemu("other", pinned)
    assert list((cache / "qemus").iterdir()) == []


def test_the_hosts_own_qemu_is_described_and_started_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "qemu.json"
    write_sealed(path, emulators.describe_host_qemu("bash", ["other"]))
    content = json.loads(path.read_text())
    assert (content["qemu"], content["packages"]) == ("bash", [])
    assert content["version"] == emulators.host_qemu_version("bash")
    assert emulators.qemu_program(str(path)) == "bash"
    assert emulators.qemu_program("qemu-system-aarch64") == "qemu-system-aarch64"


def test_a_name_that_is_neither_lists_the_known() -> None:
    with pytest.raises(CarveoutError) as error:
        emulators.describe_host_qemu("debian-0.1", ["debian-12", "debian-13"])
    assert str(error.value) == (
        "key qemu of the config: wanted the program debian-0.1, found none in PATH; "
        "run envs/install.sh, or name one of config/qemus.yaml: debian-12, debian-13"
    )


def test_a_program_that_is_no_qemu_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    with pytest.raises(CarveoutError, match="program: wanted a QEMU, found a program that says"):
        emulators.describe_host_qemu(str(program), [])
    assert emulators.host_qemu_version(str(program)) is None


@pytest.mark.parametrize("name", ["qemu-system-abacus", "false", "/etc/passwd"])
def test_what_is_no_program_or_fails_has_no_version(name: str) -> None:
    assert emulators.host_qemu_version(name) is None


def test_virtio_devices_that_have_another_thread_are_told_not_to(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text(
        '#!/bin/sh\n[ "$*" = "-device virtio-new-pci,help" ] && echo "  ioeventfd=<bool>"\nexit 0\n'
    )
    qemu.chmod(0o755)
    args = ["-device", "virtio-new-pci,id=a", "-device", "virtio-old-pci", "-device", "other"]
    assert synchronous_args(str(qemu), args) == ["-global", "virtio-new-pci.ioeventfd=off"]
    assert synchronous_args("no such program, nor asked", ["-m", "1G"]) == []


def test_a_machine_with_another_qemu_than_the_one_described_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "qemu.json"
    content = emulators.describe_host_qemu("bash", [])
    write_sealed(path, content)
    assert emulators.checked_qemu(str(path)) == ("bash", content["version"])
    write_sealed(path, {**content, "version": "0.1"})
    words = rf"wanted QEMU 0.1 \({path}\), found QEMU {re.escape(content['version'])} on this"
    with pytest.raises(CarveoutError, match=words):
        emulators.checked_qemu(str(path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CarveoutError, match=r"bash: wanted QEMU 0.1 \(.*\), found none on this"):
        emulators.checked_qemu(str(path))
