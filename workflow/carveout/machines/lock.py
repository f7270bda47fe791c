# SPDX-License-Identifier: GPL-2.0-only
"""Fetch what a config asks for, and lock it: ``python -m carveout.machines.lock``.

An existing lock is kept as long as its packages can be had.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from carveout.archive.debs import GoneError, fetch, newest_of
from carveout.archive.foreign import packages_to_run
from carveout.archive.lockfile import Entry, Lock
from carveout.archive.package import Package, PackageSet
from carveout.archive.pins import Pins, read_checked
from carveout.archive.resolve import resolve
from carveout.common.errors import entry_point
from carveout.common.files import sha256_of, write_atomically
from carveout.kernels.debian import DebianKernel
from carveout.machines import emulators


def make_lock(
    old: Lock,
    pins: Pins,
    *,
    names: Sequence[str],
    qemu: str,
    exact: bool,
    loads: Sequence[Path] = (),
) -> Lock:
    """Return the lock of a config, all of its packages fetched and unpacked.

    What an earlier config of the same results folder has used stays in it.

    Args:
        old: what the results folder has used so far.
        pins: what is pinned.
        names: of the kernels that the config asks for.
        qemu: the config's key: a pinned one, or a program of the host's.
        exact: take the pins and nothing else.
        loads: the `load.yaml` of each load that runs programs of Debian's.
    """
    wanted = {"guest": pins.guest} | {f"kernels.{name}": pins.kernel(name) for name in names}
    if qemu in pins.qemus:
        wanted[f"qemus.{qemu}"] = pins.qemus[qemu]
    entries = dict(old.entries)
    for key, pinned in wanted.items():
        locked = old.entries[key].used if key in old.entries else None
        found = resolve(key, pinned, locked, exact=exact)
        if found.note:
            print(f"carveout: {found.note}", file=sys.stderr)
        entries[key] = Entry(found.used, pinned.version, _unpacked_with(key, found.used))
    for load in loads:
        key = f"loads.{load.parent.name}"
        entries[key] = _load_entry(load, pins.guest.suites, old.entries.get(key))
    return Lock(entries)


def _load_entry(load: Path, suites: Sequence[str], old: Entry | None) -> Entry:
    """Return the packages of a load's programs, which nobody pins, with those of their libraries.

    They are those of before, if they can be had, else of any version.
    """
    gone = None
    wanted: dict[str, str] = read_checked(load, "load")["packages"]
    if old is not None and _has(old.used, wanted, suites):
        try:
            fetch(list(old.used.packages.values()))
        except GoneError as error:
            gone = error
        else:
            return old
    packages: dict[str, Package] = {}
    for name, program in wanted.items():
        package = newest_of(name, "arm64", suites, f"{load}: packages.{name}")
        packages |= {found.name: found for found in packages_to_run(package, program)}
    fetch(list(packages.values()))
    used = PackageSet(packages)
    if gone:
        said = f"{gone}, with which these results were made; took {used.version} in its place"
        print(f"carveout: {said}", file=sys.stderr)
    return Entry(used, used.version)


def _has(used: PackageSet, wanted: Collection[str], suites: Sequence[str]) -> bool:
    return all(
        name in used.packages and used.packages[name].suites == tuple(suites) for name in wanted
    )


def _unpacked_with(key: str, used: PackageSet) -> list[Package]:
    """Unpack what is used, and return the tools that this took; a source waits for its build."""
    packages = list(used.packages.values())
    if "source" in used.packages:
        return []
    if key.startswith("kernels."):
        return DebianKernel(used).unpacked().tools()
    if key.startswith("qemus."):
        return emulators.unpacked(packages).tools()
    return []


@entry_point
def main() -> None:
    """Fetch what a config asks for, and write its lock."""
    parser = argparse.ArgumentParser(prog="python -m carveout.machines.lock", description=__doc__)
    parser.add_argument("--pins", type=Path, required=True, help="kernels.yaml, qemus.yaml")
    parser.add_argument("--kernels", nargs="*", default=[], help="names of the pins")
    parser.add_argument("--loads", nargs="*", type=Path, default=[], help="those with packages")
    parser.add_argument("--qemu", required=True, help="a name of the pins, or a program")
    parser.add_argument("--exact", action="store_true", help="take exactly the pins")
    parser.add_argument("lock", type=Path, help="read if it is there, and written")
    parser.add_argument("stamp", type=Path, help="output: its sha256")
    args = parser.parse_args()
    pins = Pins.read(args.pins / "kernels.yaml", args.pins / "qemus.yaml")
    lock = make_lock(
        Lock.read(args.lock),
        pins,
        names=args.kernels,
        qemu=args.qemu,
        exact=args.exact,
        loads=args.loads,
    )
    lock.write(args.lock)
    write_atomically(args.stamp, f"{sha256_of(args.lock)}\n")


if __name__ == "__main__":
    raise SystemExit(main())
