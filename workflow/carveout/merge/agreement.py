# SPDX-License-Identifier: GPL-2.0-only
"""Where two results agree, and what differs where they do not."""

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

Object = Mapping[str, Any]

# How many trials a cell has: what its parts may have apart.
_COUNTING = {"doses_permille", "ladder", "seeds", "first_seed", "replication"}
_MISSING = "nothing"


def content_of(trial: Object) -> str:
    """Return all of a trial but what is written of its cell, as one canonical JSON text."""
    return json.dumps({**trial, "cell": None}, sort_keys=True, separators=(",", ":"))


def first_difference(one: Object, other: Object) -> str:
    """Return where two trials differ first, and what each of them says there."""
    where, found, instead = next(_differences("", {**one, "cell": None}, {**other, "cell": None}))
    return f"{where} is {_short(found)} and {_short(instead)}"


def setup_difference(one: Object, other: Object) -> str | None:
    """Return what differs in the set-up of two trials of one cell, or None if nothing does.

    Args:
        one: a trial as the runner writes it, or its `digests` and `cell`.
        other: likewise.
    """
    for member in ("digests", "cell"):
        ours, theirs = ({**trial[member]} for trial in (one, other))
        for name in _COUNTING:
            ours.pop(name, None)
            theirs.pop(name, None)
        for where, found, instead in _differences("", ours, theirs):
            return f"{where} ({_short(found)} and {_short(instead)})"
    return None


def _differences(where: str, one: object, other: object) -> Iterator[tuple[str, object, object]]:
    """Yield where two JSON values differ, in the order of sorted keys, and what each has there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            inner = f"{where}.{key}" if where else str(key)
            yield from _differences(inner, one.get(key, _MISSING), other.get(key, _MISSING))
    elif isinstance(one, list) and isinstance(other, list):
        for place, pair in enumerate(zip_longest(one, other, fillvalue=_MISSING)):
            yield from _differences(f"{where}[{place}]", *pair)
    elif json.dumps(one) != json.dumps(other):
        yield where, one, other


def _short(value: object) -> str:
    text = value if value is _MISSING else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
