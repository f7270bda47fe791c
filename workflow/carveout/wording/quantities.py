# SPDX-License-Identifier: GPL-2.0-only
"""How quantities are written: sizes, times, shares and rates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from carveout.common.sizes import GIB, KIB, MIB

NOTHING = "–"
_BYTE_UNITS = (("GiB", GIB), ("MiB", MIB), ("KiB", KIB))
_NS_UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1))
# From this number on, a count is longer than a percentage and says no more.
_MANY_TRIALS = 1000


def bytes_label(size_bytes: float | None) -> str:
    """Return a size in the largest binary unit that leaves at least 1."""
    return _scaled(size_bytes, _BYTE_UNITS, "bytes")


def ns_label(duration_ns: float | None) -> str:
    """Return a duration in the largest unit that leaves at least 1."""
    return _scaled(duration_ns, _NS_UNITS, "ns")


def percent_label(share: float | None) -> str:
    """Return a share of 1 in whole percent."""
    return NOTHING if share is None or pd.isna(share) else f"{round(share * 100)} %"


def success_label(row: Mapping[str, Any]) -> str:
    """Return a cell's success rate with its interval: 17/20 (64 to 95 %); of many, in percent.

    A cell without any variation has none.
    """
    successes = successes_label(row["successes"], row["trials"])
    if row["deterministic"]:
        return f"{successes} (deterministic)"
    digits = 0 if row["trials"] < _MANY_TRIALS else 1
    low, high = (f"{row[name] * 100:.{digits}f}" for name in ("success_low", "success_high"))
    return f"{successes} ({low}–{high} %)"


def successes_label(successes: int, trials: int) -> str:
    """Return how many of the trials succeeded: 17/20, or 92.5 % where they are many."""
    if trials < _MANY_TRIALS:
        return f"{successes}/{trials}"
    return f"{successes / trials * 100:.1f} %"


def _scaled(value: float | None, units: Sequence[tuple[str, float]], smallest: str) -> str:
    if value is None or pd.isna(value):
        return NOTHING
    for unit, factor in units:
        if abs(value) >= factor:
            return f"{_three_digits(value / factor)} {unit}"
    return f"{value:.0f} {smallest}" if value else "0"


def _three_digits(value: float) -> str:
    """Return a number of three digits where it has them, without needless zeros."""
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
