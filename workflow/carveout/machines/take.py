# SPDX-License-Identifier: GPL-2.0-only
"""Take what a lock names out of the cache: ``python -m carveout.machines.take``."""

import argparse
from pathlib import Path
from typing import Any

from carveout.archive.lockfile import Lock
from carveout.archive.pins import Pins
from carveout.common.errors import entry_point
from carveout.common.schemas import write_sealed
from carveout.kernels import own
from carveout.kernels.kernel import describe_kernel, packaged
from carveout.machines.emulators import describe_host_qemu, describe_qemu


def describe_load(name: str, lock: Lock) -> dict[str, Any]:
    """Return the packages of a load's programs, without any path of this machine."""
    used = lock.entries[f"loads.{name}"].used
    return {"packages": [package.to_json() for package in used.packages.values()]}


def _described_kernel(name: str, lock: Lock, pins: Pins) -> dict[str, Any]:
    entry = lock.entries[f"kernels.{name}"]
    origin = packaged(entry.used, pins.built_with(name), pins.patched_with(name))
    where = str(next(iter(entry.used.packages.values())))
    return describe_kernel(name, pins.page_bytes[name], origin, entry.pinned, where)


def _described_own_kernel(name: str, words: str, digest: str, output: Path) -> dict[str, Any]:
    kernel = own.from_words(words)
    taken = own.take(name, kernel, digest, output)
    return describe_kernel(name, kernel.page_bytes, taken, taken.version, kernel.where)


def _described_qemu(name: str, lock: Lock, pins: Pins) -> dict[str, Any]:
    if name in pins.qemus:
        return describe_qemu(name, lock.entries[f"qemus.{name}"].used)
    return describe_host_qemu(name, list(pins.qemus))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m carveout.machines.take", description=__doc__)
    parser.add_argument("--pins", type=Path, help="kernels.yaml, qemus.yaml")
    parser.add_argument("--lock", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, gets in {
        "kernel": "what describes the kernel",
        "own-kernel": "what describes the kernel, of which no package is in the lock",
        "qemu": "what describes the QEMU",
        "load": "what describes the packages of the load's programs",
        "busybox": "what describes the guest's busybox",
    }.items():
        one = commands.add_parser(command)
        if command != "busybox":
            one.add_argument("name", help="as the config has it")
        one.add_argument("output", type=Path, help=f"gets {gets}")
    commands.choices["own-kernel"].add_argument("kernel", help="where it lies, by own.to_words()")
    commands.choices["own-kernel"].add_argument("digest", help="of what it is to hold")
    return parser.parse_args()


@entry_point
def main() -> None:
    """Describe one thing, and take it into the cache where it is not there."""
    args = _arguments()
    if args.command == "own-kernel":
        described = _described_own_kernel(args.name, args.kernel, args.digest, args.output)
        write_sealed(args.output, described)
        return
    lock, pins = (
        Lock.read(args.lock),
        Pins.read(args.pins / "kernels.yaml", args.pins / "qemus.yaml"),
    )
    match args.command:
        case "kernel":
            write_sealed(args.output, _described_kernel(args.name, lock, pins))
        case "qemu":
            write_sealed(args.output, _described_qemu(args.name, lock, pins))
        case "load":
            write_sealed(args.output, describe_load(args.name, lock))
        case "busybox":
            busybox = lock.entries["guest"].used.packages["busybox"]
            write_sealed(args.output, busybox.to_json())


if __name__ == "__main__":
    raise SystemExit(main())
