# SPDX-License-Identifier: GPL-2.0-only
"""Which packages are really used: a results folder's own, the pins, or what replaced them."""

from dataclasses import dataclass

from carveout.archive.apt import UnreachableError
from carveout.archive.debs import GoneError, fetch, in_same_series, newest
from carveout.archive.package import PackageSet
from carveout.common.errors import CarveoutError


@dataclass(frozen=True)
class Resolved:
    """What is used in place of pins.

    Attributes:
        used: the packages, all of them in the cache.
        note: one line on why they are not the pinned ones; None where they are.
    """

    used: PackageSet
    note: str | None = None


def resolve(name: str, pinned: PackageSet, locked: PackageSet | None, *, exact: bool) -> Resolved:
    """Fetch packages and return the first of these that can be had.

    1. what the results folder was made with, so that a results folder is of one kernel;
    2. the pins;
    3. the newest of the same series in the same suites.

    Args:
        name: what the packages are, for notes.
        pinned: what the config's files pin.
        locked: what the results folder has used so far.
        exact: take the pins, or raise.

    Raises:
        GoneError: none of that can be had.
        UnreachableError: the archive does not answer, and the cache lacks what the results folder
            was made with, or has nothing of the series.
        CarveoutError: a file is not what its hash says, or the archive's signature is wrong.
    """
    if exact:
        return Resolved(_fetched_exactly(pinned))
    notes = []
    if locked is not None and _may_replace(pinned, locked):
        try:
            fetch(list(locked.packages.values()))
        except GoneError as error:
            notes.append(f"{error}, with which these results were made")
        else:
            return Resolved(locked, _kept_note(name, pinned, locked))
    try:
        fetch(list(pinned.packages.values()))
    except (GoneError, UnreachableError) as error:
        away = isinstance(error, UnreachableError)
        missing = f"{pinned.version} is not in the cache, and " if away else ""
        notes.append(f"{missing}{error}")
        used = _newest(pinned, error)
        return Resolved(used, f"{name}: {'; '.join(notes)}; took {used.version} in its place")
    return Resolved(pinned, f"{name}: {notes[0]}; took the pin {pinned.version}" if notes else None)


def _fetched_exactly(pinned: PackageSet) -> PackageSet:
    try:
        fetch(list(pinned.packages.values()))
    except GoneError as error:
        raise CarveoutError(
            f"{error}, and the key exact_pins of the config asks for exactly the pins; "
            "run 'make relock', or drop the key to take the newest of its series"
        ) from error
    return pinned


def _newest(pinned: PackageSet, why: CarveoutError) -> PackageSet:
    """Fetch and return the newest of the series of pins that cannot be had."""
    try:
        found = newest(list(pinned.packages.values()), offline=True)
    except GoneError as error:
        raise CarveoutError(
            f"{why}, and its whole series is: {error}; name another suite or package there"
        ) from error
    fetch(found)
    return PackageSet(dict(zip(pinned.packages, found, strict=True)))


def _may_replace(pinned: PackageSet, locked: PackageSet) -> bool:
    """Return whether a lock is of the series of the pins; else the pins mean something else now."""
    return locked.packages.keys() == pinned.packages.keys() and all(
        in_same_series(pinned.packages[role], package) for role, package in locked.packages.items()
    )


def _kept_note(name: str, pinned: PackageSet, locked: PackageSet) -> str | None:
    def identities(of: PackageSet) -> list[str]:
        return [package.sha256 for package in of.packages.values()]

    if identities(pinned) == identities(locked):
        return None
    return (
        f"{name}: stays with {locked.version}, with which these results were made; "
        f"the pin is {pinned.version}"
    )
