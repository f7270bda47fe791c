# SPDX-License-Identifier: GPL-2.0-only
"""Sizes as people write them (``256MiB``) and as the code counts them (bytes)."""

import re

from carveout.common.errors import CarveoutError

KIB, MIB, GIB = 2**10, 2**20, 2**30
_UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB}
_SIZE = re.compile(r"([1-9][0-9]*)(KiB|MiB|GiB)")


def parse_size(text: object, where: str) -> int:
    """Return the bytes of a size such as ``4GiB``; ``where`` names file and key for the error."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise CarveoutError(
            f"{where}: wanted a size such as 256MiB or 4GiB, found {text!r}; "
            "write a whole number and KiB, MiB or GiB"
        )
    return int(match[1]) * _UNITS[match[2]]


def format_size(size_bytes: int) -> str:
    """Return the shortest exact spelling of a multiple of 1 KiB: ``1073741824`` is ``1GiB``."""
    for unit, factor in reversed(_UNITS.items()):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    raise ValueError(f"{size_bytes} bytes are no multiple of 1 KiB")
