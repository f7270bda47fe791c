# SPDX-License-Identifier: GPL-2.0-only
"""What takes the place of pins: a vanished one stops nobody, and a false one stops everybody.

A small signed archive stands for Debian's.
"""

from dataclasses import replace

import pytest

from carveout.archive.apt import UnreachableError
from carveout.archive.debs import GoneError, fetch
from carveout.archive.package import PackageSet
from carveout.archive.resolve import Resolved, resolve
from carveout.common.errors import CarveoutError
from tests.unit.made_archive import Archive, SigningKey

NAME = "kernels.made"


@pytest.fixture
def pinned(archive: Archive) -> PackageSet:
    """The pins of a kernel, all of them in the archive."""
    packages = archive.add_kernel("6.12.9+deb13", "6.12.9-1")
    archive.publish()
    return packages


def resolved(pinned: PackageSet, locked: PackageSet | None = None) -> Resolved:
    """What is used, where exactness is not asked for; it is in the cache, and its note one line."""
    found = resolve(NAME, pinned, locked, exact=False)
    assert "\n" not in (found.note or "")
    assert all(deb.exists() for deb in fetch(list(found.used.packages.values())))
    return found


def hashes(packages: PackageSet) -> dict[str, str]:
    """What packages are, by their roles."""
    return {role: package.sha256 for role, package in packages.packages.items()}


def in_cache(packages: PackageSet) -> PackageSet:
    """The packages, fetched."""
    fetch(list(packages.packages.values()))
    return packages


def archive_with_newer(archive: Archive) -> PackageSet:
    """A newer kernel of the same series, which the archive now has."""
    newer = archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    archive.publish()
    return newer


def with_false_hash(packages: PackageSet, role: str) -> PackageSet:
    """The packages, one of them pinned with another hash than it has."""
    false = replace(packages.packages[role], sha256="0" * 64)
    return PackageSet({**packages.packages, role: false})


def test_pins_that_the_archive_has_are_taken_without_a_word(pinned: PackageSet) -> None:
    assert resolved(pinned) == Resolved(pinned)


def test_vanished_pins_give_way_to_the_newest_of_their_series(
    archive: Archive, pinned: PackageSet
) -> None:
    archive.drop_set(pinned)
    archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    newest = archive.add_kernel("6.12.11+deb13", "6.12.11-1")
    archive.add_kernel("6.13.1+deb13", "6.13.1-1")
    archive.publish()
    found = resolved(pinned)
    assert hashes(found.used) == hashes(newest)
    assert found.note == (
        "kernels.made: linux-image-6.12.9+deb13-arm64 6.12.9-1 "
        "(pins.yaml: linux-image-6.12.9+deb13-arm64) is gone from suite made; "
        "took 6.12.11-1 in its place"
    )


@pytest.mark.parametrize("role", ["image", "headers", "headers_common", "kbuild"])
def test_where_one_package_vanished_the_whole_kernel_is_another(
    archive: Archive, pinned: PackageSet, role: str
) -> None:
    archive.drop(pinned.packages[role])
    newer = archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    archive.publish()
    assert hashes(resolved(pinned).used) == hashes(newer)


def test_rebuild_of_the_same_name_takes_the_place(archive: Archive, pinned: PackageSet) -> None:
    archive.drop_set(pinned)
    newer = archive.add_kernel("6.12.9+deb13", "6.12.9-2")
    archive.publish()
    found = resolved(pinned)
    assert hashes(found.used) == hashes(newer)
    assert (found.note or "").endswith("; took 6.12.9-2 in its place")


def test_headers_newer_than_any_image_wait_for_it(archive: Archive, pinned: PackageSet) -> None:
    archive.drop_set(pinned)
    whole = archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    archive.drop(archive.add_kernel("6.12.11+deb13", "6.12.11-1").packages["image"])
    archive.publish()
    assert hashes(resolved(pinned).used) == hashes(whole)


def test_series_of_which_no_version_is_whole_is_an_error(
    archive: Archive, pinned: PackageSet
) -> None:
    archive.drop_set(pinned)
    archive.drop(archive.add_kernel("6.12.10+deb13", "6.12.10-1").packages["image"])
    archive.drop(archive.add_kernel("6.12.11+deb13", "6.12.11-1").packages["kbuild"])
    archive.publish()
    with pytest.raises(CarveoutError, match="nor is any other version of its series that is whole"):
        resolve(NAME, pinned, None, exact=False)


def test_series_that_is_gone_is_an_error_that_says_what_to_do(
    archive: Archive, pinned: PackageSet
) -> None:
    archive.drop_set(pinned)
    archive.add_kernel("6.13.1+deb13", "6.13.1-1")
    archive.publish()
    with pytest.raises(CarveoutError) as error:
        resolve(NAME, pinned, None, exact=False)
    assert str(error.value).startswith("linux-image-6.12.9+deb13-arm64 6.12.9-1 (pins.yaml: ")
    assert "is gone from suite made, and its whole series is: " in str(error.value)
    assert str(error.value).endswith("; name another suite or package there")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("role", ["image", "kbuild"])
def test_false_hash_is_refused_and_never_replaced(
    archive: Archive, pinned: PackageSet, role: str
) -> None:
    archive.add_kernel("6.12.10+deb13", "6.12.10-1")
    archive.publish()
    with pytest.raises(CarveoutError, match="the archive has another linux-") as error:
        resolve(NAME, with_false_hash(pinned, role), None, exact=False)
    assert not isinstance(error.value, GoneError)


@pytest.mark.parametrize("forged", ["by another key", "by change"])
def test_wrong_signature_stops_even_where_the_pin_vanished(
    archive: Archive, pinned: PackageSet, other_key: SigningKey, forged: str
) -> None:
    in_cache(archive_with_newer(archive))
    archive.drop_set(pinned)
    archive.add_kernel("6.12.66+deb13", "6.12.66-6")
    if forged == "by another key":
        archive.key = other_key
    archive.publish()
    if forged == "by change":
        archive.tamper()
    with pytest.raises(CarveoutError, match="signature") as error:
        resolve(NAME, pinned, None, exact=False)
    assert not isinstance(error.value, GoneError | UnreachableError)


def test_cached_pins_need_no_archive(archive: Archive, pinned: PackageSet) -> None:
    in_cache(pinned)
    archive.vanish()
    assert resolved(pinned) == Resolved(pinned)


def test_cached_pins_are_used_though_the_archive_has_newer_ones(
    archive: Archive, pinned: PackageSet
) -> None:
    in_cache(pinned)
    archive.drop_set(pinned)
    archive_with_newer(archive)
    assert resolved(pinned) == Resolved(pinned)


def test_cached_newer_kernel_serves_while_nobody_answers(
    archive: Archive, pinned: PackageSet
) -> None:
    newer = in_cache(archive_with_newer(archive))
    half = archive.add_kernel("6.12.11+deb13", "6.12.11-1")
    archive.publish()
    fetch([half.packages["image"]])
    archive.vanish()
    found = resolved(pinned)
    assert hashes(found.used) == hashes(newer)
    said = "6.12.9-1 is not in the cache, and the archive with suite made does not answer: could "
    assert (found.note or "").startswith(f"kernels.made: {said}")
    assert (found.note or "").endswith("; took 6.12.10-1 in its place")


def test_cold_cache_while_nobody_answers_is_an_error(archive: Archive, pinned: PackageSet) -> None:
    archive.vanish()
    with pytest.raises(UnreachableError, match="the archive with suite made does not answer") as e:
        resolve(NAME, pinned, None, exact=False)
    assert "\n" not in str(e.value)


def test_damaged_pin_in_the_cache_is_fetched_again_and_no_newer_one(
    archive: Archive, pinned: PackageSet
) -> None:
    archive_with_newer(archive)
    fetch(list(pinned.packages.values()))[0].write_bytes(b"damaged")
    assert resolved(pinned) == Resolved(pinned)


def test_results_stay_with_what_made_them_though_the_pins_moved(
    archive: Archive, pinned: PackageSet
) -> None:
    moved = archive_with_newer(archive)
    assert resolved(moved, pinned) == Resolved(
        pinned,
        "kernels.made: stays with 6.12.9-1, with which these results were made; "
        "the pin is 6.12.10-1",
    )


def test_results_stay_with_what_made_them_though_only_the_cache_has_it(
    archive: Archive, pinned: PackageSet
) -> None:
    in_cache(pinned)
    archive.drop_set(pinned)
    moved = archive_with_newer(archive)
    assert resolved(moved, pinned).used == pinned


def test_results_made_with_the_pins_go_on_without_a_word(pinned: PackageSet) -> None:
    assert resolved(pinned, pinned) == Resolved(pinned)


def test_results_whose_kernel_vanished_move_to_the_pins(
    archive: Archive, pinned: PackageSet
) -> None:
    archive.drop_set(pinned)
    moved = archive_with_newer(archive)
    found = resolved(moved, pinned)
    assert found.used == moved
    assert (found.note or "").startswith("kernels.made: linux-image-6.12.9+deb13-arm64 6.12.9-1 (")
    assert (found.note or "").endswith(
        "is gone from suite made, with which these results were made; took the pin 6.12.10-1"
    )


def test_results_whose_kernel_vanished_with_the_pins_move_to_the_newest(
    archive: Archive, pinned: PackageSet
) -> None:
    moved = archive_with_newer(archive)
    archive.drop_set(pinned)
    archive.drop_set(moved)
    newest = archive.add_kernel("6.12.11+deb13", "6.12.11-1")
    archive.publish()
    found = resolved(moved, pinned)
    assert hashes(found.used) == hashes(newest)
    assert (found.note or "").count(" is gone from suite made") == 2
    assert (found.note or "").endswith("; took 6.12.11-1 in its place")


def test_results_do_not_move_for_an_outage(archive: Archive, pinned: PackageSet) -> None:
    moved = in_cache(archive_with_newer(archive))
    archive.vanish()
    with pytest.raises(UnreachableError):
        resolve(NAME, moved, pinned, exact=False)


def test_results_of_another_series_suite_or_role_mean_something_else(
    archive: Archive, pinned: PackageSet
) -> None:
    series = archive.add_kernel("6.13.1+deb13", "6.13.1-1")
    archive.publish()
    in_cache(series)
    suites = PackageSet(
        {role: replace(package, suites=("other",)) for role, package in pinned.packages.items()}
    )
    roles = PackageSet({"image": pinned.packages["image"]})
    for locked in (series, suites, roles):
        assert resolved(pinned, locked) == Resolved(pinned)


def test_exactness_takes_the_pins_and_not_what_made_the_results(
    archive: Archive, pinned: PackageSet
) -> None:
    moved = archive_with_newer(archive)
    in_cache(pinned)
    assert resolve(NAME, moved, pinned, exact=True) == Resolved(moved)


def test_exactness_ends_where_a_pin_vanished(archive: Archive, pinned: PackageSet) -> None:
    archive.drop(pinned.packages["kbuild"])
    newer = in_cache(archive_with_newer(archive))
    with pytest.raises(CarveoutError) as error:
        resolve(NAME, pinned, newer, exact=True)
    assert str(error.value) == (
        "linux-kbuild-6.12.9+deb13 6.12.9-1 (pins.yaml: linux-kbuild-6.12.9+deb13) is gone from "
        "suite made, and the key exact_pins of the config asks for exactly the pins; "
        "run 'make relock', or drop the key to take the newest of its series"
    )


def test_exactness_waits_for_an_archive_that_does_not_answer(
    archive: Archive, pinned: PackageSet
) -> None:
    in_cache(archive_with_newer(archive))
    archive.vanish()
    with pytest.raises(UnreachableError, match="does not answer"):
        resolve(NAME, pinned, None, exact=True)


def test_package_that_is_no_kernel_is_replaced_by_its_newest(archive: Archive) -> None:
    pinned = PackageSet({"busybox": archive.add("busybox-static", "1:1.37.0-6+b9")})
    archive.drop_set(pinned)
    newer = PackageSet({"busybox": archive.add("busybox-static", "1:1.37.0-10")})
    archive.publish()
    found = resolve("guest", pinned, None, exact=False)
    assert hashes(found.used) == hashes(newer)
