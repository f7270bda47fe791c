# SPDX-License-Identifier: GPL-2.0-only
"""What is written of a row of the table `changes`: its quantity, its values, how sure it is."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from carveout.tables.comparison_tables import QUANTITIES
from carveout.wording.labels import Labels
from carveout.wording.quantities import NOTHING, bytes_label, ns_label, successes_label

# How each quantity is called, and how its values are written.
QUANTITY_LABELS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "success": ("success", str),
    "granted_bytes": ("granted", bytes_label),
    "lend_ns_per_gib": ("lend, per GiB", ns_label),
    "give_back_ns_per_gib": ("give back, per GiB", ns_label),
    "memmap_bytes_per_gib": ("memmap, per GiB lent", bytes_label),
    "pages_migrated": ("pages migrated", lambda pages: f"{pages:.0f}"),
    "regained_bytes": ("regained", bytes_label),
}


def ordered(changes: pd.DataFrame, labels: Labels) -> list[dict[Any, Any]]:
    """Return the rows in the order of variants, loads, requests and quantities."""
    variants = {row: place for place, row in enumerate(labels.variants(changes))}
    return sorted(
        changes.to_dict("records"),
        key=lambda row: (
            variants[row["strategy"], row["variant"]],
            *(row["load"], row["requests"], row["cycle"], QUANTITIES.index(row["quantity"])),
        ),
    )


def sizes_asked_in_several_ways(changes: pd.DataFrame) -> set[int]:
    """Return the sizes that several requests ask for, which their size does not tell apart."""
    ways = changes[["requests", "cycle", "request_bytes"]].drop_duplicates()["request_bytes"]
    return set(ways[ways.duplicated()])


def asked_label(row: Mapping[Any, Any], several: set[int]) -> str:
    """Return what was asked for, told apart from other requests of the same size."""
    size = bytes_label(row["request_bytes"])
    if row["request_bytes"] not in several:
        return size
    return f"{size} ({row['requests'].replace('_', ' ')}, cycle {row['cycle']})"


def value_label(row: Mapping[Any, Any], which: str) -> str:
    """Return a mean with its standard deviation in percent of it: 5.2 ms ± 3 %."""
    if row["quantity"] == "success":
        return successes_label(round(row[which] * row["pairs"]), row["pairs"])
    mean = QUANTITY_LABELS[row["quantity"]][1](row[which])
    deviation = row[f"{which}_std"]
    if pd.isna(deviation) or not row[which]:
        return mean
    return f"{mean} ± {round(deviation / abs(row[which]) * 100):2d} %"


def relative_ends(row: Mapping[Any, Any], low: str, high: str) -> tuple[float, float] | None:
    """Return an interval of a relative change, or None where there is none.

    Where some seed had nothing before, it is that of the difference, as a share of the mean before.
    """
    scale, kind = 1.0, "relative"
    if low == "low" and row["before"] and pd.isna(row["relative_least"]):
        scale, kind = abs(row["before"]), "difference"
    ends = [row[f"{kind}_{end}"] for end in (low, high)]
    return None if pd.isna(ends[0]) else (float(ends[0]) / scale, float(ends[1]) / scale)


def change_label(relative: float) -> str:
    """Return a relative change in percent, or that there was nothing before."""
    return "from 0" if pd.isna(relative) else f"{relative * 100:+.1f} %"


def p_label(p_value: float) -> str:
    """Return a p-value, none of which is below a thousandth; an exact change has none."""
    if pd.isna(p_value):
        return NOTHING
    return f"{p_value:.3f}" if p_value >= 0.001 else "<0.001"
