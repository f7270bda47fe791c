# SPDX-License-Identifier: GPL-2.0-only
"""The machine's device tree: QEMU's own, with what a strategy adds to it."""

from pathlib import Path

from carveout.common.processes import run_program
from carveout.guests.command_line import Machine, machine_args

# QEMU gives a tree that it reads from a file so many bytes more, and then as much again.
QEMU_MORE_BYTES = 10_000


def _file_bytes(tree_bytes: int) -> int:
    """Return the size of a file with which the tree is as large as the machine's own.

    Linux reserves all of it: hosts that get a tree from a file would have more memory than others.
    """
    return max(tree_bytes // 2 - QEMU_MORE_BYTES, 0)


def merge_device_tree(
    machine: Machine, kernel: Path, addition: str, folder: Path, where: str
) -> Path:
    """Write a machine's device tree with an addition into a folder, and return its path.

    Later source overrides and extends what comes before, so that the addition may name nodes
    that QEMU's own tree has.

    Args:
        machine: is asked for its tree; nothing runs on it.
        kernel: without one, QEMU refuses the arguments of a machine that boots.
        addition: source of device-tree nodes, from the root (`/ {...};`).
        folder: where the tree and its source are left.
        where: what the addition is of, for errors.

    Raises:
        CarveoutError: the addition is no device-tree source.
    """
    own, source, merged = (folder / f"machine.{name}" for name in ("dtb", "dts", "merged.dtb"))
    dump = [*machine_args(machine), "-kernel", str(kernel), "-machine", f"dumpdtb={own}"]
    run_program([machine.qemu, *dump], "ask QEMU for its machine's device tree")
    own_source = run_program(
        ["dtc", "--quiet", "-I", "dtb", "-O", "dts", str(own)], "read the machine's device tree"
    )
    source.write_text(f"{own_source}\n{addition}", encoding="utf-8")
    room = ["-S", str(_file_bytes(own.stat().st_size))]
    compiler = ["dtc", "--quiet", "-I", "dts", "-O", "dtb", *room, "-o", str(merged), str(source)]
    run_program(compiler, f"merge the device tree of {where} into the machine's")
    return merged
