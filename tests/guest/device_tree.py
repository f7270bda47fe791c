# SPDX-License-Identifier: GPL-2.0-only
"""Device trees: the emulated machine's own, with a node of /reserved-memory added."""

import struct
import subprocess
from pathlib import Path

# Of a flattened device tree, by its specification.
HEADER = struct.Struct(">10I")
BEGIN_NODE, END_NODE, PROPERTY, END = (struct.pack(">I", token) for token in (1, 2, 3, 9))


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _begin(name: str) -> bytes:
    return BEGIN_NODE + _padded(name.encode() + b"\0")


class _Strings:
    """The block of the properties' names."""

    def __init__(self, block: bytes) -> None:
        self.block = block

    def property(self, name: str, value: bytes = b"") -> bytes:
        offset = len(self.block)
        self.block += name.encode() + b"\0"
        return PROPERTY + struct.pack(">II", len(value), offset) + _padded(value)


def with_reserved_memory(tree: bytes, start: int, size: int) -> bytes:
    """Return the tree with a region that Linux shall neither use nor map."""
    fields = list(HEADER.unpack_from(tree))
    _, _, structure, names, reservations, _, _, _, names_bytes, structure_bytes = fields
    strings = _Strings(tree[names : names + names_bytes])
    cells = struct.pack(">I", 2)
    node = (
        _begin("reserved-memory")
        + strings.property("#address-cells", cells)
        + strings.property("#size-cells", cells)
        + strings.property("ranges")
        + _begin(f"kept@{start:x}")
        + strings.property("reg", struct.pack(">QQ", start, size))
        + strings.property("no-map")
        + 2 * END_NODE
    )
    nodes = tree[structure : structure + structure_bytes]
    end = END_NODE + END
    assert nodes.endswith(end)
    nodes = nodes[: -len(end)] + node + end
    kept = tree[reservations : min(structure, names)]
    fields[4] = HEADER.size
    fields[2] = fields[4] + len(kept)
    fields[3] = fields[2] + len(nodes)
    fields[8], fields[9] = len(strings.block), len(nodes)
    fields[1] = fields[3] + len(strings.block)
    return HEADER.pack(*fields) + kept + nodes + strings.block


def of_the_machine(path: Path) -> bytes:
    """Return the device tree of the machine that the tests' hosts have."""
    machine = f"virt,gic-version=3,dtb-randomness=off,dumpdtb={path}"
    command = ["qemu-system-aarch64", "-nodefaults", "-display", "none", "-machine", machine]
    subprocess.run([*command, "-cpu", "neoverse-n1", "-m", "1024M"], check=True)
    return path.read_bytes()
