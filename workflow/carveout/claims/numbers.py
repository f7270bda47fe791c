# SPDX-License-Identifier: GPL-2.0-only
"""What was found, in words: values of columns with their units, and in which row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from carveout.common.sizes import GIB, KIB, MIB
from carveout.wording.quantities import NOTHING, ns_label


def _bytes(value: float) -> str:
    """Return a size with as many digits as tell a page of some hundred MiB."""
    for unit, size in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(value) >= size:
            return f"{value / size:.6g} {unit}"
    return f"{value:g} bytes" if value else "0"


def _percent(value: float) -> str:
    return f"{value:.6g} %"


# By what a column's name ends in. Columns of medians end in `_p50` and the like.
_UNITS: Mapping[str, Callable[[Any], str]] = {
    "_bytes": _bytes,
    "_ns": ns_label,
    "_ns_per_gib": ns_label,
    "_share": lambda value: _percent(value * 100),
    "_rate": lambda value: _percent(value * 100),
    "_dose": _percent,
    "dose_target": _percent,
}
# Which row it is: its columns that tell rows apart, with what stands around them.
_PLACE: Mapping[str, str] = {
    "kernel": "{}",
    "ram_bytes": "{} RAM",
    "granule": "granule {}",
    "strategy": "{}",
    "variant": "{}",
    "load": "{}",
    "scenario": "{}",
    "dose_target": "{}",
    "phase": "census {}",
    "request_bytes": "{} asked for",
    "cycle": "cycle {}",
    "seed": "seed {}",
}
_MOST_TEXTS = 4


def value_label(name: str, value: Any) -> str:
    """Return a column's value with its unit."""
    if value is None or pd.isna(value):
        return NOTHING
    if isinstance(value, (str, bool)):
        return str(value)
    stem = name.rstrip("0123456789").removesuffix("_p")
    for end, label in _UNITS.items():
        if stem.endswith(end):
            return label(value)
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def found(rows: pd.DataFrame, names: Sequence[str]) -> str:
    """Return what columns hold in some rows: the value, or the least and the most."""
    return "; ".join(f"{name} {_found(name, rows[name].dropna())}" for name in names)


def _found(name: str, values: "pd.Series[Any]") -> str:
    if values.empty:
        return NOTHING
    if values.dtype in ("string", "boolean"):
        counts = values.value_counts()
        if len(counts) == 1:
            return str(counts.index[0])
        shown = [f"{value} ({count})" for value, count in counts.head(_MOST_TEXTS).items()]
        return ", ".join(shown) + (" and others" if len(counts) > _MOST_TEXTS else "")
    least, most = (value_label(name, value) for value in (values.min(), values.max()))
    return least if least == most else f"{least} to {most}"


def place_of(rows: pd.DataFrame, row: "pd.Series[Any]") -> str:
    """Return which of some rows one is, by what is not the same in all of them."""
    words = [
        form.format(value_label(name, row[name]))
        for name, form in _PLACE.items()
        if name in rows and not pd.isna(row[name])
        if name in ("strategy", "variant") or rows[name].nunique(dropna=False) > 1
    ]
    return ", ".join(words)
