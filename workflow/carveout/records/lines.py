# SPDX-License-Identifier: GPL-2.0-only
"""Lines of JSON with a seal each: the digest of the line's own bytes, as its last member.

A bit that flips on a disk, or a number that somebody edits, mostly leaves JSON that can be read, of
a trial that never was. With its seal the line is no longer that of a trial.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

_MEMBER = b',"seal":"'
_DIGITS = 16
_END_BYTES = len(_MEMBER) + _DIGITS + len(b'"}')


def sealed_lines(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return lines of objects, none of which is empty or has a member `seal`."""
    texts = (json.dumps(each, sort_keys=True, separators=(",", ":")) for each in objects)
    return "".join(sealed_line(text.encode()).decode() for text in texts)


def sealed_line(text: bytes) -> bytes:
    """Return the line of an object that is JSON without needless spaces already."""
    body = text.rstrip(b"\n").removesuffix(b"}")
    return b'%s%s%s"}\n' % (body, _MEMBER, _seal(body).encode())


def read_line(line: bytes) -> dict[str, Any]:
    """Return the object of a line, without its seal.

    Raises:
        ValueError: it is no object, or not the one that was sealed.
    """
    line = line.rstrip(b"\n")
    content = orjson.loads(line)
    if not isinstance(content, dict) or "seal" not in content:
        raise ValueError("wanted an object with its seal as the last member")
    body, seal = line[:-_END_BYTES], content.pop("seal")
    if seal != _seal(body) or line[-_END_BYTES:] != b'%s%s"}' % (_MEMBER, seal.encode()):
        raise ValueError(f"wanted the line of which {seal} is the seal, found one of {_seal(body)}")
    return content


def _seal(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_DIGITS]
