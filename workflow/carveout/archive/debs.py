# SPDX-License-Identifier: GPL-2.0-only
"""Packages of any Debian suite and architecture, fetched without root, verified, kept in the cache.

The hash of a package must be the one in the archive's signed lists and the one in its pin.
"""

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from carveout.archive.apt import Apt, UnreachableError
from carveout.archive.package import Package
from carveout.common.cache import cache_folder, locked
from carveout.common.errors import CarveoutError
from carveout.common.files import folder_aside, sha256_of, write_json_atomically
from carveout.common.processes import is_success, run_program

# `6.12.107+deb13`, `6.1.0-42` and the like inside a kernel package's name: group 1 is the series,
# which a newer package keeps, and group 2 is what changes with every update.
_KERNEL_ABI = re.compile(r"(?<=-)(\d+\.\d+)(\.\d[0-9A-Za-z.+~]*(?:-\d+)?)(?=-[a-z]|$)")


class GoneError(CarveoutError):
    """The archive has no longer this version of a package, and nor has the cache."""


def fetch(packages: Sequence[Package]) -> list[Path]:
    """Return the checked .deb files of packages, downloading those that the cache has not whole.

    Raises:
        GoneError: one of them is in neither.
        UnreachableError: the archive was needed and did not answer.
        CarveoutError: a file cannot be read, is not what its hash says, or a signature is wrong.
    """
    missing = [package for package in packages if not _is_whole(package)]
    if missing:
        with locked("archive"):
            # Another run may have downloaded the same while this one waited for the lock.
            missing = [package for package in missing if not _is_whole(package)]
            for package in missing:
                if _cached(package).exists():
                    _tell_damage(package)
            _download(missing)
    return [_cached(package) for package in packages]


def newest(packages: Sequence[Package], *, offline: bool = False) -> list[Package]:
    """Return the newest of packages that belong together: each in its kernel series, if it has one.

    Packages of a kernel are of one version.

    Args:
        packages: their names, architectures and suites count, their versions do not.
        offline: take what the cache has when the archive does not answer.

    Raises:
        GoneError: there are none.
        UnreachableError: the archive does not answer.
    """
    with locked("archive"):
        versions = [_versions_in_series(package, offline=offline) for package in packages]
    is_kernel = any(_KERNEL_ABI.search(package.name) for package in packages)
    if is_kernel:
        # The archive may have a new kernel's headers before its signed image.
        common = set.intersection(*({found.version for found in those} for those in versions))
        versions = [[found for found in those if found.version in common] for those in versions]
    for package, found in zip(packages, versions, strict=True):
        if not found:
            raise GoneError(
                f"{package} is in none of the suites {', '.join(package.suites)}, nor is any other "
                "version" + (" of its series that is whole" if is_kernel else "")
            )
    return [functools.reduce(_newer, found) for found in versions]


def newest_of(name: str, architecture: str, suites: Sequence[str], pin: str) -> Package:
    """Return a package that no experiment depends on, of any version.

    What the cache has is good enough; otherwise it is the newest of the suites.
    """
    wanted = Package(name, "any version", architecture, "", tuple(suites), pin)
    cached = _cached_versions(wanted)
    return functools.reduce(_newer, cached) if cached else newest([wanted])[0]


def with_dependencies(package: Package) -> list[Package]:
    """Return a package and all that it depends on in its suites, as apt would install it.

    The suites need not have the package itself any more.
    """
    (deb,) = fetch([package])
    with locked("archive"):
        needed = Apt.of(package.suites).dependencies(deb)
    return [package] + [
        replace(package, name=name, version=version, architecture=architecture, sha256=sha256)
        for name, version, architecture, sha256 in needed
        if name != package.name
    ]


def in_same_series(one: Package, other: Package) -> bool:
    """Return whether packages of the same suites are versions of one, or of one kernel series."""
    return (
        one.suites == other.suites
        and one.architecture == other.architecture
        and bool(_series_pattern(one.name).fullmatch(other.name))
    )


def unpack(debs: Iterable[Path], folder: Path) -> None:
    """Unpack .deb files over each other into a folder, all libraries below `usr`."""
    for deb in debs:
        run_program(["dpkg-deb", "--extract", str(deb), str(folder)], f"unpack {deb}")
    # Older suites put at the root what newer ones put below /usr.
    for name in ("lib", "lib64"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, folder / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder / name)


def _cached(package: Package) -> Path:
    return cache_folder("archive") / f"{package.sha256}.deb"


def _is_whole(package: Package) -> bool:
    """Return whether the cache has a package as it was put there."""
    path = _cached(package)
    try:
        return sha256_of(path) == package.sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CarveoutError(f"cannot read {path}: {error.strerror}; it holds {package}") from error


def _tell_damage(package: Package) -> None:
    """Say what is downloaded though it is there, so that its owner can look after the disk."""
    print(
        f"carveout: {_cached(package)} ({package}): wanted sha256 {package.sha256[:12]}, found "
        f"{sha256_of(_cached(package))[:12]}; it is downloaded anew",
        file=sys.stderr,
    )


def _download(packages: Sequence[Package]) -> None:
    for suites in dict.fromkeys(package.suites for package in packages):
        _download_from(Apt.of(suites), [p for p in packages if p.suites == suites])


def _download_from(apt: Apt, packages: Sequence[Package]) -> None:
    """Download packages of the same suites with one call of apt: each call reads the lists."""
    for package in packages:
        _check_listed(apt, package)
    with folder_aside(cache_folder("archive")) as folder:
        apt.download([(p.name, p.architecture, p.version) for p in packages], folder)
        for package in packages:
            (deb,) = folder.glob(f"{package.name}_*_{package.architecture}.deb")
            _keep(deb, package)


def _check_listed(apt: Apt, package: Package) -> None:
    """Refuse a package that the archive's signed lists do not have, or have with another hash."""
    listed = dict(apt.versions(package.name, package.architecture))
    if package.version not in listed:
        raise GoneError(f"{package} is gone from suite {' and '.join(package.suites)}")
    _check_hash(package, listed[package.version])


def _check_hash(package: Package, found: str) -> None:
    if found != package.sha256:
        raise CarveoutError(
            f"the archive has another {package}: wanted sha256 {package.sha256}, found {found}; "
            "if you trust it, run 'make relock'"
        )


def _keep(deb: Path, package: Package) -> None:
    _check_hash(package, sha256_of(deb))
    # Says what it is, when the archive cannot be asked; first, since the .deb is the sign of both.
    write_json_atomically(_cached(package).with_suffix(".json"), package.to_json())
    os.replace(deb, _cached(package))


def _versions_in_series(package: Package, *, offline: bool) -> list[Package]:
    """Return what the archive has of a package's series, or the cache if the archive is silent."""
    try:
        apt = Apt.of(package.suites)
    except UnreachableError:
        cached = _cached_versions(package) if offline else []
        if not cached:
            raise
        return cached
    pattern = _series_pattern(package.name)
    listed = [
        replace(package, name=name, version=version, sha256=sha256)
        for name in apt.names(_fixed_beginning(package.name))
        if pattern.fullmatch(name)
        for version, sha256 in apt.versions(name, package.architecture)
    ]
    # The archive may have dropped a whole series that the cache has.
    return listed or (_cached_versions(package) if offline else [])


def _cached_versions(package: Package) -> list[Package]:
    found = []
    for path in sorted(cache_folder("archive").glob("*.json")):
        try:
            cached = Package.from_json(json.loads(path.read_text(encoding="utf-8")), package.pin)
        except (ValueError, KeyError, TypeError):
            continue  # damaged: as if the cache did not have it
        if in_same_series(package, cached) and _cached(cached).exists():
            found.append(cached)
    return found


def _series_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern of the names that a package may have in its kernel series.

    The pattern of a package of no kernel series matches its own name alone.
    """
    abi = _KERNEL_ABI.search(name)
    if abi is None:
        return re.compile(re.escape(name))
    return re.compile(
        re.escape(_fixed_beginning(name))
        + r"\.\d[0-9A-Za-z.+~]*(-\d+)?"
        + re.escape(name[abi.end() :])
    )


def _fixed_beginning(name: str) -> str:
    abi = _KERNEL_ABI.search(name)
    return name if abi is None else name[: abi.start()] + abi[1]


def _newer(one: Package, other: Package) -> Package:
    compare = ["dpkg", "--compare-versions", other.version, "gt", one.version]
    return other if is_success(compare) else one
