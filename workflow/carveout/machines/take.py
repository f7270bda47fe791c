# SPDX-License-Identifier: GPL-2.0-only
"""Take what a lock names out of the cache: ``python -m carveout.machines.take``."""

import argparse
from pathlib import Path
from typing import Any

from carveout.archive.lockfile import Lock
from carveout.archive.package import Package
from carveout.archive.pins import Pins
from carveout.common.errors import entry_point
from carveout.common.files import write_atomically, write_json_atomically
from carveout.machines.emulators import describe_host_qemu, describe_qemu
from carveout.machines.kernels import describe_kernel
from carveout.machines.unpacked import unpacked_together


def take_busybox(busybox: Package) -> bytes:
    """Return the guest's busybox, out of its package."""
    root = unpacked_together("packages", [busybox], list, lambda _: None).root
    (program,) = root.glob("**/bin/busybox")
    return program.read_bytes()


def describe_load(name: str, lock: Lock) -> dict[str, Any]:
    """Return the packages of a load's programs, without any path of this machine."""
    used = lock.entries[f"loads.{name}"].used
    return {"packages": [package.to_json() for package in used.packages.values()]}


def _described_qemu(name: str, lock: Lock, pins: Pins) -> dict[str, Any]:
    if name in pins.qemus:
        return describe_qemu(name, lock.entries[f"qemus.{name}"].used)
    return describe_host_qemu(name, list(pins.qemus))


@entry_point
def main() -> None:
    """Take one thing out of the cache: a kernel's, QEMU's or load's description, or the busybox."""
    parser = argparse.ArgumentParser(prog="python -m carveout.machines.take", description=__doc__)
    parser.add_argument("--pins", type=Path, required=True, help="kernels.yaml, qemus.yaml")
    parser.add_argument("--lock", type=Path, required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, gets in {
        "kernel": "what describes the kernel",
        "qemu": "what describes the QEMU",
        "load": "what describes the packages of the load's programs",
        "busybox": "the program",
    }.items():
        one = commands.add_parser(command)
        if command != "busybox":
            one.add_argument("name", help="as the config has it")
        one.add_argument("output", type=Path, help=f"gets {gets}")
    commands.choices["busybox"].add_argument("description", type=Path, help="gets what it is")
    args = parser.parse_args()
    lock, pins = (
        Lock.read(args.lock),
        Pins.read(args.pins / "kernels.yaml", args.pins / "qemus.yaml"),
    )
    match args.command:
        case "kernel":
            entry = lock.entries[f"kernels.{args.name}"]
            described = describe_kernel(
                args.name,
                pins.page_bytes[args.name],
                entry.used,
                entry.pinned,
                pins.built_with(args.name),
            )
            write_json_atomically(args.output, described)
        case "qemu":
            write_json_atomically(args.output, _described_qemu(args.name, lock, pins))
        case "load":
            write_json_atomically(args.output, describe_load(args.name, lock))
        case "busybox":
            busybox = lock.entries["guest"].used.packages["busybox"]
            write_atomically(args.output, take_busybox(busybox))
            write_json_atomically(args.description, busybox.to_json())


if __name__ == "__main__":
    raise SystemExit(main())
