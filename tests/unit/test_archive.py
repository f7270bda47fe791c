# SPDX-License-Identifier: GPL-2.0-only
"""The archive: what is cached needs no network, and every way it can fail names file and pin.

Packages are made here with dpkg-deb; a mirror of them on disk stands for Debian's.
"""

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from carveout.archive import packages as archive
from carveout.archive.packages import Package
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from tests.unit.made_packages import made_deb


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/carveout"


class Mirror:
    """A Debian mirror on disk, with one suite."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "dists/made/main/binary-arm64/Packages"
        self.index.parent.mkdir(parents=True)
        self.index.touch()
        self._write_release()

    def add(
        self, name: str, version: str, architecture: str = "arm64", depends: str = ""
    ) -> Package:
        """Build a package, put it into the suite and return its pin."""
        tree = self.root / "trees" / f"{name}_{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "version").write_text(version)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
            "Maintainer: nobody <nobody@example.org>\nDescription: made for a test\n"
            + (f"Depends: {depends}\n" if depends else "")
        )
        (tree / "DEBIAN/control").write_text(control)
        deb = self.root / f"{name}_{version}.deb"
        subprocess.run(["dpkg-deb", "--build", tree, deb], check=True, capture_output=True)
        with self.index.open("a") as stream:
            stream.write(
                f"{control}Filename: {deb.name}\nSize: {deb.stat().st_size}\n"
                f"SHA256: {sha256_of(deb)}\n\n"
            )
        self._write_release()
        pin = f"kernels.yaml: packages.{name}"
        return Package(name, version, architecture, sha256_of(deb), ("made",), pin)

    def drop_all(self) -> None:
        """Empty the suite."""
        self.index.write_text("")
        self._write_release()

    def _write_release(self) -> None:
        content = self.index.read_bytes()
        (self.root / "dists/made/Release").write_text(
            "Origin: Made\nLabel: Made\nSuite: made\nCodename: made\nArchitectures: arm64\n"
            "Components: main\nDate: Wed, 01 Jan 2020 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-arm64/Packages\n"
        )


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror that apt takes for the host's, unsigned as it is."""
    made = Mirror(tmp_path / "mirror")
    monkeypatch.setattr(
        archive, "_source", lambda suite: f"deb [trusted=yes] file:{made.root} {suite} main\n"
    )
    return made


def test_fetches_once_and_then_needs_no_archive(mirror: Mirror, cache: Path) -> None:
    package = mirror.add("tool", "1.0-1")
    (deb,) = archive.fetch([package])
    assert deb == cache / f"archive/{package.sha256}.deb"
    mirror.drop_all()
    assert archive.fetch([package]) == [deb]


def test_fetches_packages_for_all_architectures(mirror: Mirror) -> None:
    one, other = mirror.add("headers", "1", "all"), mirror.add("image", "1:2~rc1-1")
    debs = archive.fetch([one, other])
    assert [sha256_of(deb) for deb in debs] == [one.sha256, other.sha256]


def test_of_many_packages_the_one_that_vanished_is_named(mirror: Mirror, cache: Path) -> None:
    there = mirror.add("tool", "1.0-1")
    gone = replace(mirror.add("other", "2-1"), version="1-1", sha256="0" * 64)
    with pytest.raises(
        CarveoutError, match=r"^other 1-1 .* newest is other 2-1; run 'make relock'"
    ):
        archive.fetch([there, gone])
    assert list((cache / "archive").iterdir()) == []


def test_dependencies_are_resolved_in_the_suite_alone(mirror: Mirror) -> None:
    base = mirror.add("base", "1:2-1")
    library = mirror.add("library", "3", depends="base (>= 1:1)")
    mirror.add("unwanted", "4")
    program = mirror.add("program", "5", depends="library | unwanted")
    found = archive.with_dependencies(program)
    pinned = {(p.name, p.version, p.architecture, p.sha256, p.suites) for p in found}
    assert pinned == {
        (p.name, p.version, p.architecture, p.sha256, p.suites) for p in (base, library, program)
    }


def test_unpacks_over_each_other(mirror: Mirror, tmp_path: Path) -> None:
    debs = archive.fetch([mirror.add("tool", "1"), mirror.add("other", "2")])
    archive.unpack(debs, tmp_path / "folder")
    assert (tmp_path / "folder/version").read_text() == "2"


def test_libraries_of_older_suites_lie_where_newer_ones_have_them(tmp_path: Path) -> None:
    package = made_deb(tmp_path, "old", {"lib/one/a.so": b"a", "usr/lib/one/b.so": b"b"})
    archive.unpack(archive.fetch([package]), tmp_path / "folder")
    assert not (tmp_path / "folder/lib").exists()
    assert sorted(path.name for path in (tmp_path / "folder/usr/lib/one").iterdir()) == [
        "a.so",
        "b.so",
    ]


def test_corrupt_file_in_the_cache_is_named(mirror: Mirror) -> None:
    package = mirror.add("tool", "1.0-1")
    (deb,) = archive.fetch([package])
    deb.write_bytes(b"damaged")
    with pytest.raises(CarveoutError) as error:
        archive.fetch([package])
    message = str(error.value)
    found = hashlib.sha256(b"damaged").hexdigest()
    assert f"{deb} is corrupt: wanted sha256 {package.sha256}" in message
    assert f"found {found}; delete the file" in message
    assert "kernels.yaml: packages.tool" in message
    assert "\n" not in message


def test_another_file_under_the_same_version_is_refused(mirror: Mirror, cache: Path) -> None:
    package = replace(mirror.add("tool", "1.0-1"), sha256="0" * 64)
    with pytest.raises(CarveoutError, match=r"another tool 1.0-1 \(kernels.yaml.*make relock"):
        archive.fetch([package])
    assert list((cache / "archive").iterdir()) == []


def test_vanished_kernel_names_the_newest_of_its_series(mirror: Mirror) -> None:
    mirror.add("linux-image-6.12.9+deb13-arm64", "6.12.9-1")
    mirror.add("linux-image-6.12.10+deb13-arm64", "6.12.10-1")
    mirror.add("linux-image-6.12.11+deb13-rt-arm64", "6.12.11-1")
    mirror.add("linux-image-6.13.1+deb13-arm64", "6.13.1-1")
    gone = Package(
        "linux-image-6.12.8-arm64", "6.12.8-1", "arm64", "0" * 64, ("made",), "k.yaml: i"
    )
    with pytest.raises(CarveoutError) as error:
        archive.fetch([gone])
    assert str(error.value) == (
        "linux-image-6.12.8-arm64 6.12.8-1 (k.yaml: i) is no longer in suite made; "
        "newest is linux-image-6.12.10+deb13-arm64 6.12.10-1; run 'make relock'"
    )


def test_package_that_is_gone_in_every_version_says_so(mirror: Mirror) -> None:
    package = mirror.add("tool", "1")
    mirror.drop_all()
    with pytest.raises(CarveoutError, match="nor is any other version"):
        archive.fetch([package])


@pytest.mark.parametrize(
    ("pinned", "there"),
    [
        ("linux-headers-6.12.9+deb13-common", "linux-headers-6.12.10+deb13-common"),
        ("linux-kbuild-6.12.9+deb13", "linux-kbuild-6.12.10+deb13"),
        ("linux-image-6.1.0-9-arm64", "linux-image-6.1.0-42-arm64"),
        ("linux-source-6.12", "linux-source-6.12"),
    ],
)
def test_newest_follows_the_name(mirror: Mirror, pinned: str, there: str) -> None:
    newer = mirror.add(there, "10-1")
    old = Package(pinned, "9-1", "arm64", "0" * 64, ("made",), newer.pin)
    assert archive.newest([old]) == [newer]


def test_unknown_suite_is_one_line(mirror: Mirror) -> None:
    package = replace(mirror.add("tool", "1"), sha256="0" * 64, suites=("nosuch",))
    with pytest.raises(CarveoutError, match="nosuch") as error:
        archive.fetch([package])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("suite", "wanted"),
    [("trixie", "main"), ("trixie-updates", "main"), ("x-security", "security")],
)
def test_mirror_is_the_one_of_the_hosts_apt(
    monkeypatch: pytest.MonkeyPatch, suite: str, wanted: str
) -> None:
    targets = (("other", "Somebody"), ("security", "Debian-Security"), ("main", "Debian"))
    monkeypatch.setattr(archive, "_host_targets", lambda: targets)
    assert archive._mirror(suite) == wanted


def test_host_without_debian_mirror_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_host_targets", lambda: (("other", "Somebody"),))
    with pytest.raises(CarveoutError, match="no mirror of Debian, wanted for suite trixie"):
        archive._mirror("trixie")
