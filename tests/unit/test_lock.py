# SPDX-License-Identifier: GPL-2.0-only
"""The lock: what results were really made with, kept as long as it can be had.

A small signed archive stands for Debian's.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from carveout.archive.debs import fetch
from carveout.archive.lockfile import Entry, Lock
from carveout.archive.package import Package, PackageSet
from carveout.archive.pins import Pins
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.common.schemas import load_sealed
from carveout.machines import lock as lock_program
from carveout.machines import take
from carveout.machines.emulators import QEMU_PROGRAM
from carveout.machines.lock import make_lock
from tests.unit.made_archive import Archive, SigningKey
from tests.unit.made_packages import host_program, libc_files, write_pins

pytestmark = pytest.mark.usefixtures("cache")

TOOL = Package("libc6", "2.41-1", "amd64", "2" * 64, ("made",))


def kernel_set(version: str, digit: str = "1") -> PackageSet:
    """A kernel that is nowhere."""
    return PackageSet({"image": Package("linux-image", version, "arm64", digit * 64, ("made",))})


def entry_of(used: str, pinned: str) -> Entry:
    """An entry of a lock."""
    return Entry(kernel_set(used), pinned, [TOOL])


class Bench:
    """Pins of a kernel, busybox and QEMU, all in the archive, and results without a lock."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        self.kernel = archive.add_kernel("6.12.9+deb13", "6.12.9-1")
        busybox = {"usr/bin/busybox": b"program"}
        self.guest = PackageSet({"busybox": archive.add("busybox-static", "1:1.36", files=busybox)})
        self.libc = archive.add("libc6", "2.41-1", "amd64", files=libc_files("bash"))
        qemu = {QEMU_PROGRAM: host_program("bash")}
        self.qemu = PackageSet(
            {
                "program": archive.add(
                    "qemu-system-arm", "1:10.0", "amd64", depends="libc6", files=qemu
                )
            }
        )
        archive.publish()
        self.pin(self.kernel)

    def pin(self, kernel: PackageSet) -> None:
        """Pin a kernel."""
        write_pins(self.folder, {"made": kernel}, self.guest, {"other": self.qemu})

    @property
    def pins(self) -> Pins:
        """The pins, as the files have them."""
        return Pins.read(self.folder / "kernels.yaml", self.folder / "qemus.yaml")

    @property
    def lock(self) -> Path:
        """The results folder's lock."""
        return self.folder / "results/lock.yaml"

    def used(self) -> str:
        """The version of the kernel that the lock has, and that which it says was pinned."""
        entry = Lock.read(self.lock).entries["kernels.made"]
        return f"{entry.used.version}, pinned {entry.pinned}"

    def move_archive(self, version: str) -> PackageSet:
        """Put a newer kernel in the place of the pinned one and return it."""
        self.archive.drop_set(self.kernel)
        newer = self.archive.add_kernel(f"{version.partition('-')[0]}+deb13", version)
        self.archive.publish()
        return newer


@pytest.fixture
def bench(archive: Archive, tmp_path: Path) -> Bench:
    """What a run starts with."""
    return Bench(archive, tmp_path)


def write_lock(bench: Bench, *options: str, qemu: str = "qemu-system-aarch64") -> int:
    """Run the program that writes the lock and return its exit status."""
    arguments = ["--pins", str(bench.folder), "--kernels", "made", "--qemu", qemu]
    stamp = bench.lock.with_suffix(".sha256")
    sys.argv = ["lock", *arguments, *options, str(bench.lock), str(stamp)]
    status = lock_program.main()
    if status == 0:
        assert stamp.read_text() == f"{sha256_of(bench.lock)}\n"
    return status


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])


def test_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Lock(
        {
            "kernels.made": entry_of("6.12.9-1", "6.12.8-1"),
            "guest": Entry(PackageSet({"busybox": replace(TOOL, version="1:1.36+b1")}), "1:1.36"),
            "qemus.debian-13": Entry(PackageSet({"program": TOOL}), "2.41-1", [TOOL, TOOL]),
        }
    )
    path = tmp_path / "results/lock.yaml"
    written.write(path)
    assert path.read_text().startswith("# The packages that these results were really made with")
    read = Lock.read(path)
    assert {key: entry.to_json() for key, entry in read.entries.items()} == {
        key: entry.to_json() for key, entry in written.entries.items()
    }
    image = read.entries["kernels.made"].used.packages["image"]
    assert image.pin == f"{path}: kernels.made.packages.image"
    text = path.read_text()
    read.write(path)
    assert path.read_text() == text


def test_lock_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Lock.read(tmp_path / "lock.yaml").entries == {}


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (("kernels.made", "packages", "image", "sha256"), "short", "sha256"),
        (("kernels.made", "packages", "image", "colour"), "blue", "colour"),
        (("kernels.made", "packages"), {}, "kernels.made.packages"),
        (("kernels.made", "pinned"), None, "kernels.made.pinned"),
        (("kernels.made", "tools"), [{}], "kernels.made.tools.0"),
        (("emulators",), {}, "emulators"),
    ],
)
def test_bad_lock_names_file_and_key(
    tmp_path: Path, keys: tuple[str, ...], value: object, named: str
) -> None:
    path = tmp_path / "lock.yaml"
    Lock({"kernels.made": entry_of("1", "1")}).write(path)
    content = yaml.safe_load(path.read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(CarveoutError) as error:
        Lock.read(path)
    assert str(error.value).startswith(f"{path}: key ")
    assert named in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- a list\n", "{", "\0"])
def test_file_that_is_no_lock_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.yaml"
    path.write_text(text)
    with pytest.raises(CarveoutError, match=r"^.*lock.yaml: ") as error:
        Lock.read(path)
    assert "\n" not in str(error.value)


def test_lock_says_what_moved_from_which_pin() -> None:
    entries = {
        "qemus.other": entry_of("1:10.1", "1:10.0"),
        "kernels.same": entry_of("6.12.9-1", "6.12.9-1"),
        "kernels.made": entry_of("6.12.9-1", "6.12.8-1"),
    }
    assert Lock(entries).moved() == [
        "kernels.made: 6.12.8-1 -> 6.12.9-1",
        "qemus.other: 1:10.0 -> 1:10.1",
    ]


def test_lock_has_all_that_is_used(bench: Bench) -> None:
    lock = make_lock(Lock({}), bench.pins, names=["made"], qemu="other", exact=False)
    assert list(lock.entries) == ["guest", "kernels.made", "qemus.other"]
    assert lock.moved() == []
    hashes = {
        key: [package.sha256 for package in entry.used.packages.values()]
        for key, entry in lock.entries.items()
    }
    assert hashes == {
        "guest": [package.sha256 for package in bench.guest.packages.values()],
        "kernels.made": [package.sha256 for package in bench.kernel.packages.values()],
        "qemus.other": [package.sha256 for package in bench.qemu.packages.values()],
    }
    tools = {key: [tool.sha256 for tool in entry.tools] for key, entry in lock.entries.items()}
    assert tools == {
        "guest": [],
        "kernels.made": [bench.libc.sha256],
        "qemus.other": [bench.libc.sha256],
    }


def test_qemu_of_the_host_is_not_in_the_lock(bench: Bench) -> None:
    assert write_lock(bench) == 0
    assert list(Lock.read(bench.lock).entries) == ["guest", "kernels.made"]


def test_unknown_kernel_is_one_line(bench: Bench) -> None:
    with pytest.raises(CarveoutError, match="wanted a pinned kernel, found nosuch; there are made"):
        make_lock(Lock({}), bench.pins, names=["nosuch"], qemu="sh", exact=False)


def test_what_another_config_used_stays_in_the_lock(bench: Bench) -> None:
    old = Lock({"kernels.old": entry_of("6.1.1-1", "6.1.1-1")})
    lock = make_lock(old, bench.pins, names=["made"], qemu="sh", exact=False)
    assert lock.entries["kernels.old"] == old.entries["kernels.old"]
    assert list(old.entries) == ["kernels.old"]


def test_vanished_pin_is_said_in_one_line_and_recorded(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = bench.move_archive("6.12.10-1")
    assert write_lock(bench) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("carveout: kernels.made: linux-image-6.12.9+deb13-arm64 6.12.9-1 (")
    assert said[0].endswith("is gone from suite made; took 6.12.10-1 in its place")
    assert bench.used() == "6.12.10-1, pinned 6.12.9-1"
    used = Lock.read(bench.lock).entries["kernels.made"].used
    assert [p.sha256 for p in used.packages.values()] == [p.sha256 for p in newer.packages.values()]
    assert Lock.read(bench.lock).moved() == ["kernels.made: 6.12.9-1 -> 6.12.10-1"]


def test_results_stay_with_their_lock_while_archive_and_pins_move_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_lock(bench) == 0
    bench.pin(bench.move_archive("6.12.10-1"))
    assert capsys.readouterr().err == ""
    assert write_lock(bench) == 0
    assert bench.used() == "6.12.9-1, pinned 6.12.10-1"
    assert capsys.readouterr().err == (
        "carveout: kernels.made: stays with 6.12.9-1, with which these results were made; "
        "the pin is 6.12.10-1\n"
    )


def test_results_stay_with_what_replaced_a_pin(bench: Bench) -> None:
    bench.move_archive("6.12.10-1")
    assert write_lock(bench) == 0
    bench.archive.add_kernel("6.12.11+deb13", "6.12.11-1")
    bench.archive.publish()
    assert write_lock(bench) == 0
    assert bench.used() == "6.12.10-1, pinned 6.12.9-1"


def test_lock_that_cannot_be_had_any_more_moves_to_the_pin(bench: Bench, cache: Path) -> None:
    assert write_lock(bench) == 0
    bench.pin(bench.move_archive("6.12.10-1"))
    shutil.rmtree(cache)
    assert write_lock(bench) == 0
    assert bench.used() == "6.12.10-1, pinned 6.12.10-1"


def test_lock_of_another_series_is_not_kept(bench: Bench) -> None:
    assert write_lock(bench) == 0
    other = bench.archive.add_kernel("6.13.1+deb13", "6.13.1-1")
    bench.archive.publish()
    bench.pin(other)
    assert write_lock(bench) == 0
    assert bench.used() == "6.13.1-1, pinned 6.13.1-1"


def test_removed_lock_follows_the_pins_again(bench: Bench) -> None:
    assert write_lock(bench) == 0
    bench.pin(bench.move_archive("6.12.10-1"))
    bench.lock.unlink()
    assert write_lock(bench) == 0
    assert bench.used() == "6.12.10-1, pinned 6.12.10-1"


def test_exact_pins_override_the_lock(bench: Bench) -> None:
    assert write_lock(bench) == 0
    bench.pin(bench.move_archive("6.12.10-1"))
    assert write_lock(bench, "--exact") == 0
    assert bench.used() == "6.12.10-1, pinned 6.12.10-1"


def test_exact_pin_that_vanished_is_one_line_and_leaves_the_lock(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.move_archive("6.12.10-1")
    assert write_lock(bench) == 0
    before = bench.lock.read_text()
    capsys.readouterr()
    assert write_lock(bench, "--exact") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is gone from suite made, and the key exact_pins of the config asks for" in said
    assert bench.lock.read_text() == before


def test_false_archive_is_one_line_and_nothing_is_locked(
    bench: Bench, other_key: SigningKey, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.archive.key = other_key
    bench.move_archive("6.12.66-6")
    assert write_lock(bench) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "signature" in said
    assert not bench.lock.exists()


def test_cache_that_has_all_needs_no_archive(bench: Bench) -> None:
    assert write_lock(bench, qemu="other") == 0
    bench.lock.unlink()
    bench.archive.vanish()
    assert write_lock(bench, qemu="other") == 0
    assert bench.used() == "6.12.9-1, pinned 6.12.9-1"


def test_unpacked_kernel_is_made_again_of_the_cache_while_nobody_answers(
    bench: Bench, cache: Path
) -> None:
    assert write_lock(bench) == 0
    shutil.rmtree(cache / "kernels")
    bench.archive.vanish()
    assert write_lock(bench) == 0
    tools = Lock.read(bench.lock).entries["kernels.made"].tools
    assert [tool.sha256 for tool in tools] == [bench.libc.sha256]


def test_newer_kernel_in_the_cache_serves_while_nobody_answers(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = bench.archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    bench.archive.publish()
    fetch([*newer.packages.values(), *bench.guest.packages.values(), bench.libc])
    bench.archive.vanish()
    assert write_lock(bench) == 0
    assert bench.used() == "6.12.10-1, pinned 6.12.9-1"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "6.12.9-1 is not in the cache, and the archive with suite made does not answer" in said
    assert said.endswith("; took 6.12.10-1 in its place\n")


def test_what_a_lock_names_is_taken_out_of_the_cache(bench: Bench) -> None:
    newer = bench.move_archive("6.12.10-1")
    assert write_lock(bench, qemu="other") == 0
    results = bench.lock.parent
    command = ["take", "--pins", str(bench.folder), "--lock", str(bench.lock)]
    for what, *names, output in (
        ("kernel", "made", "kernel.json"),
        ("qemu", "other", "qemu.json"),
        ("qemu", "bash", "host.json"),
        ("busybox", "busybox.json"),
    ):
        sys.argv = [*command, what, *names, str(results / output)]
        assert take.main() == 0
    described = {path.stem: json.loads(path.read_text()) for path in results.glob("*.json")}
    kernel = described["kernel"]
    assert (kernel["version"], kernel["release"]) == ("6.12.10-1", "6.12.10+deb13-arm64")
    assert [p["sha256"] for p in kernel["packages"]] == [p.sha256 for p in newer.packages.values()]
    assert described["qemu"]["packages"] == [p.to_json() for p in bench.qemu.packages.values()]
    assert described["host"]["packages"] == []
    busybox = load_sealed(results / "busybox.json", "package")
    assert busybox == bench.guest.packages["busybox"].to_json()
    assert str(bench.folder) not in json.dumps(described)
