# SPDX-License-Identifier: GPL-2.0-only
"""Loads that run Debian's programs: which packages they get, and what of these gets into the guest.

A small signed archive stands for Debian's, and the host's own `ls` for the program.
"""

import shutil
from pathlib import Path

import pytest
import yaml

from carveout.archive.lockfile import Lock
from carveout.archive.package import Package, PackageSet
from carveout.archive.pins import Pins
from carveout.common.errors import CarveoutError
from carveout.common.schemas import write_sealed
from carveout.initramfs.debian_programs import debian_programs
from carveout.machines.lock import make_lock
from carveout.machines.take import describe_load
from tests.unit.made_archive import Archive
from tests.unit.made_packages import LIBRARIES, host_libraries, host_program

PROGRAM = "usr/bin/ls"


class Bench:
    """A load, and an archive with the package of its program and what this depends on."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.load = folder / "made/load.yaml"
        self.load.parent.mkdir()
        self.write(packages={"tool": PROGRAM})
        self.libraries = {
            name: archive.add(
                name.lower().replace("_", "-"), "1", files={f"{LIBRARIES}/{name}": content}
            )
            for name, content in host_libraries("ls").items()
        }
        archive.add("libother", "1", files={f"{LIBRARIES}/libother.so.1": b"no library"})
        busybox = archive.add("busybox-static", "1:1.36")
        self.pins = Pins({}, {}, {}, {}, PackageSet({"busybox": busybox}), {})
        self.tool = self.add_tool("1.0")

    def write(self, **keys: object) -> None:
        """Write the load's description."""
        dose = {"dose": {"of": "ram"}}
        content = {"title": "made", "description": "made for a test", **dose, **keys}
        self.load.write_text(yaml.safe_dump(content))

    def add_tool(self, version: str) -> Package:
        """Put a version of the program's package into the archive, with a manual."""
        names = [*(package.name for package in self.libraries.values()), "libother"]
        files = {PROGRAM: host_program("ls"), "usr/share/doc/tool/manual": b"long"}
        tool = self.archive.add("tool", version, depends=", ".join(names), files=files)
        self.archive.publish()
        return tool

    def lock(self, old: Lock | None = None) -> Lock:
        """Lock the packages of the load."""
        old = old or Lock({})
        return make_lock(old, self.pins, names=[], qemu="sh", exact=False, loads=[self.load])

    def description(self, lock: Lock) -> Path:
        """The file that describes what a lock has for the load."""
        path = self.load.parents[1] / "results/guest/loads/made.json"
        write_sealed(path, describe_load("made", lock))
        return path


def versions(lock: Lock) -> dict[str, str]:
    """The version of each package that a lock has for the load."""
    return {name: p.version for name, p in lock.entries["loads.made"].used.packages.items()}


@pytest.fixture
def bench(archive: Archive, tmp_path: Path) -> Bench:
    """What a run starts with."""
    return Bench(archive, tmp_path)


def test_the_lock_has_the_program_and_the_libraries_that_it_links_to(
    bench: Bench, tmp_path: Path
) -> None:
    lock = bench.lock()
    libraries = {package.name for package in bench.libraries.values()}
    assert len(libraries) >= 3
    assert versions(lock) == {"tool": "1.0"} | dict.fromkeys(libraries, "1")
    assert lock.entries["loads.made"].used.version == "1.0"
    assert lock.moved() == []
    lock.write(tmp_path / "lock.yaml")
    assert versions(Lock.read(tmp_path / "lock.yaml")) == versions(lock)


def test_nothing_is_fetched_for_a_load_that_no_config_names(bench: Bench, cache: Path) -> None:
    lock = make_lock(Lock({}), bench.pins, names=[], qemu="sh", exact=False)
    assert list(lock.entries) == ["guest"]
    assert not (cache / f"archive/{bench.tool.sha256}.deb").exists()


def test_results_stay_with_their_programs(bench: Bench) -> None:
    lock = bench.lock()
    bench.archive.drop(bench.tool)
    bench.add_tool("2.0")
    assert versions(bench.lock()) == versions(lock), "any version does that the cache has"
    assert versions(bench.lock(lock)) == versions(lock)


def test_programs_that_nobody_has_any_more_are_replaced_and_it_is_said(
    bench: Bench, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = bench.lock()
    bench.archive.drop(bench.tool)
    bench.add_tool("2.0")
    shutil.rmtree(cache)
    assert versions(bench.lock(lock))["tool"] == "2.0"
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "tool 1.0 (" in said
    assert "is gone from suite made, with which these results were made; took 2.0" in said


def test_a_cache_that_has_all_needs_no_archive(bench: Bench) -> None:
    lock = bench.lock()
    bench.archive.vanish()
    assert versions(bench.lock()) == versions(lock)


def test_a_package_that_the_suite_does_not_have_names_file_and_key(bench: Bench) -> None:
    lock = bench.lock()
    bench.write(packages={"tool": PROGRAM, "nosuch": "usr/bin/nosuch"})
    with pytest.raises(CarveoutError, match=r"nosuch any version \(.*load.yaml: packages.nosuch"):
        bench.lock(lock)


def test_the_guest_gets_the_program_and_its_libraries_and_nothing_else(bench: Bench) -> None:
    entries = debian_programs(bench.description(bench.lock()), {"tool": PROGRAM})
    content = {entry.path: entry.data for entry in entries}
    libraries = {f"lib/{name}": data for name, data in host_libraries("ls").items()}
    assert content == {"load/ls": host_program("ls"), **libraries}
    assert all(entry.executable for entry in entries)


def test_a_package_without_the_program_is_one_line(bench: Bench) -> None:
    description = bench.description(bench.lock())
    with pytest.raises(
        CarveoutError, match=r"made.json: wanted usr/bin/nosuch in tool, found none"
    ):
        debian_programs(description, {"tool": "usr/bin/nosuch"})


def test_a_lost_package_names_the_lock_to_remove(bench: Bench, cache: Path) -> None:
    description = bench.description(bench.lock())
    bench.archive.drop(bench.tool)
    bench.archive.publish()
    shutil.rmtree(cache)
    with pytest.raises(CarveoutError, match=r"remove .*/results/lock\.yaml, and the next run"):
        debian_programs(description, {"tool": PROGRAM})


@pytest.mark.parametrize(
    "packages", [{}, {"Tool": PROGRAM}, {"tool": "/usr/bin/ls"}, {"tool": "usr/bin/../ls"}]
)
def test_a_load_that_names_no_program_is_refused(bench: Bench, packages: dict[str, str]) -> None:
    bench.write(packages=packages)
    with pytest.raises(CarveoutError, match=r"load\.yaml: key packages") as error:
        bench.lock()
    assert "\n" not in str(error.value)
