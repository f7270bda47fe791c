# SPDX-License-Identifier: GPL-2.0-only
"""Packages that the cache has no longer as they were put there, or has by half."""

import hashlib

import pytest

from carveout.archive import debs
from carveout.archive.debs import GoneError
from carveout.common.cache import cache_folder
from carveout.common.files import folder_aside
from tests.unit.made_archive import Archive

pytestmark = pytest.mark.usefixtures("cache")


def test_damaged_files_in_the_cache_are_each_named_and_downloaded_anew(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = [archive.add(name, "1.0-1") for name in ("tool", "whole", "other")]
    archive.publish()
    tool, whole, other = debs.fetch(packages)
    tool.write_bytes(b"damaged")
    other.write_bytes(other.read_bytes()[:-1])
    kept = whole.stat().st_ino
    debs.fetch(packages)
    for deb, package in zip((tool, whole, other), packages, strict=True):
        assert hashlib.sha256(deb.read_bytes()).hexdigest() == package.sha256
    assert whole.stat().st_ino == kept
    first, second = capsys.readouterr().err.splitlines()
    found = hashlib.sha256(b"damaged").hexdigest()[:12]
    assert first.startswith(f"carveout: {tool} (tool 1.0-1 (pins.yaml: tool)")
    assert first.endswith(f"{packages[0].sha256[:12]}, found {found}; it is downloaded anew")
    assert second.startswith(f"carveout: {other} (")


def test_a_damaged_file_that_the_archive_has_no_longer_is_gone(archive: Archive) -> None:
    package = archive.add("tool", "1.0-1")
    archive.publish()
    (deb,) = debs.fetch([package])
    deb.write_bytes(b"damaged")
    archive.drop(package)
    archive.publish()
    with pytest.raises(GoneError, match=r"^tool 1.0-1 \(pins.yaml: tool\) is gone"):
        debs.fetch([package])


def test_half_a_download_of_a_killed_process_goes_with_the_next(archive: Archive) -> None:
    package = archive.add("tool", "1.0-1")
    archive.publish()
    with folder_aside(cache_folder("archive")) as left:
        pass
    left.mkdir()
    (left / "tool.deb").touch()
    (deb,) = debs.fetch([package])
    assert sorted(deb.parent.iterdir()) == sorted((deb, deb.with_suffix(".json")))
