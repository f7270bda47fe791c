# SPDX-License-Identifier: GPL-2.0-only
"""The seal of a table: the digest of all bytes of its file, in the file itself.

It is metadata with the key `seal`, and is taken with zeros in its own place. So it goes wherever
the file goes, and whoever edits a row, with whatever program, breaks it.
"""

import hashlib
import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

from carveout.common.errors import CarveoutError
from carveout.common.schemas import load_digest

KEY = "seal"
# What a writer gives as metadata, until `seal` knows better.
OPEN = "0" * 64

# A key and its value as Thrift's compact protocol has them: strings with their lengths before them.
_IN_FOOTER = re.compile(rb"\x18\x04seal\x18\x40([0-9a-f]{64})")
_MAGIC = b"PAR1"
_READ_BYTES = 2**20
_WHAT_TO_DO = "remove it and run 'snakemake tables', or take it anew from whoever made it"


def seal(stream: BinaryIO) -> None:
    """Seal a parquet file that is written whole, with the metadata `OPEN` under `KEY`."""
    place, _ = _find(stream)
    _, digest = _digests(stream, place)
    stream.seek(place)
    stream.write(digest.encode())


def check_seal(path: Path) -> None:
    """Refuse a parquet file that was changed after it was made, or that another one replaced.

    Where the digest of the whole file lies beside it (`trials.sha256`), that has to fit, too.

    Raises:
        CarveoutError: one line that says what differs and what to do.
    """
    found, digest, whole = _read(path)
    if found != digest:
        raise _edited(path, found, digest)
    beside = path.with_suffix(".sha256")
    if beside.is_file() and (stated := load_digest(beside)) != whole:
        raise CarveoutError(
            f"{path}: wanted the table of which {beside.name} beside it has the sha256, "
            f"{stated[:12]}, found another one of {whole[:12]}; {_WHAT_TO_DO}"
        )


def refuse_edited(folder: Path) -> None:
    """Refuse a folder in which a table was changed that still has its seal.

    One without a seal may be of an older version, which is written anew; who reads it refuses it.
    """
    for path in sorted(folder.glob("*.parquet")):
        found, digest, _ = _read(path)
        if found and found != digest:
            raise _edited(path, found, digest)


def _edited(path: Path, found: str, digest: str) -> CarveoutError:
    return CarveoutError(
        f"{path}: wanted the table as carveout wrote it, whose seal is {found[:12] or 'missing'}, "
        f"found one of {digest[:12]}, which was changed afterwards; {_WHAT_TO_DO}"
    )


def _read(path: Path) -> tuple[str, str, str]:
    """Return a file's seal or an empty text, what it should be, and the sha256 of all of it."""
    with path.open("rb") as stream:
        place, found = _find(stream)
        whole, digest = _digests(stream, place)
    return found, digest, whole


def _find(stream: BinaryIO) -> tuple[int, str]:
    """Return where the seal stands in a file, and the seal; at the file's end if it has none."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 8))
    length, magic = struct.unpack("<I4s", stream.read(8).rjust(8, b"\0"))
    if magic == _MAGIC and length <= size - 8:
        start = stream.seek(size - 8 - length)
        seals = list(_IN_FOOTER.finditer(stream.read(length)))
        if len(seals) == 1:
            return start + seals[0].start(1), seals[0][1].decode()
    return size, ""


def _digests(stream: BinaryIO, place: int) -> tuple[str, str]:
    """Return the sha256 of a file as it is, and as it is with zeros in the seal's place, in hex."""
    whole = hashlib.sha256()
    stream.seek(0)
    left = place
    while left and (read := stream.read(min(left, _READ_BYTES))):
        whole.update(read)
        left -= len(read)
    unsealed = whole.copy()
    whole.update(stream.read(len(OPEN)))
    unsealed.update(OPEN.encode())
    rest = stream.read()
    whole.update(rest)
    unsealed.update(rest)
    return whole.hexdigest(), unsealed.hexdigest()
