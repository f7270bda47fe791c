# SPDX-License-Identifier: GPL-2.0-only
"""Archives in the format of an initramfs (cpio "newc"): same entries in, same bytes out."""

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
# The kernel reads several archives one after another when each starts at a multiple of four.
_ARCHIVE_ALIGNMENT_BYTES = 512


@dataclass(frozen=True, order=True)
class Entry:
    """A file or a folder of an archive.

    Attributes:
        path: where it lies, without a leading slash.
        data: its content; None for a folder.
        executable: whether it is a program; a folder always may be entered.
    """

    path: str
    data: bytes | None
    executable: bool = False

    @property
    def mode(self) -> int:
        """The file's type and permissions."""
        if self.data is None:
            return stat.S_IFDIR | 0o755
        return stat.S_IFREG | (0o755 if self.executable else 0o644)


def pack(entries: Iterable[Entry]) -> bytes:
    """Return the archive of some entries and of the folders that they lie in.

    Nothing in it depends on the order of the entries, the clock, the user or the file system.
    """
    ordered = sorted(_with_folders(entries), key=lambda entry: entry.path)
    packed = [
        _record(entry.path, entry.mode, entry.data or b"", number)
        for number, entry in enumerate(ordered, start=1)
    ]
    packed.append(_record(_TRAILER, 0, b"", 0))
    return _padded(b"".join(packed), _ARCHIVE_ALIGNMENT_BYTES)


def _with_folders(entries: Iterable[Entry]) -> set[Entry]:
    complete = set(entries)
    for entry in tuple(complete):
        parents = entry.path.split("/")[:-1]
        complete |= {Entry("/".join(parents[:depth]), None) for depth in range(1, len(parents) + 1)}
    return complete


def _record(path: str, mode: int, data: bytes, inode: int) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name, checksum
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = _MAGIC + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name, 4) + _padded(data, 4)


def _padded(data: bytes, alignment: int) -> bytes:
    return data + bytes(-len(data) % alignment)
