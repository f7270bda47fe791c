# SPDX-License-Identifier: GPL-2.0-only
"""Rows of the table `changes` as kernel lists know them: in the form of the 0-day robot's mails.

`before ± %stddev   %change   after ± %stddev   metric`, and a line on how sure that is.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from carveout.compare.changes import (
    asked_label,
    change_label,
    ordered,
    p_label,
    relative_ends,
    value_label,
)
from carveout.tables.comparison_tables import BEFORE
from carveout.wording.labels import Labels, comparable_parts
from carveout.wording.plain import wrapped

# What is listed of a variant at most; all of it is in the table.
_MOST_OF_A_VARIANT = 20
_COLUMNS = "{:>18} {:>9} {:>18}  {}"


def rows_text(rows: pd.DataFrame, labels: Labels, several: set[int]) -> str:
    """Return rows by machine and variant; what reads alike under several loads is said once.

    Args:
        rows: of the table `changes`.
        labels: the strategies' titles.
        several: the sizes that their size does not tell apart.
    """
    text = _COLUMNS.format("before ± %stddev", "%change", "after ± %stddev", "metric") + "\n"
    left_out = 0
    for (old, machine), of_machine in _machines(rows):
        text += wrapped(f"{old} -> {machine}", "  ", "")
        for variant, of_variant in groupby(
            ordered(of_machine, labels), lambda row: labels.variant(row["strategy"], row["variant"])
        ):
            alike: dict[tuple[str, str], dict[str, list[str]]] = {}
            for row in of_variant:
                loads = alike.setdefault((_values(row), ", ".join(_sureness(row))), {})
                loads.setdefault(row["load"], []).append(asked_label(row, several))
            shown = dict(list(alike.items())[:_MOST_OF_A_VARIANT])
            left_out += len(alike) - len(shown)
            text += wrapped(variant, "    ", "  ")
            for (values, sureness), loads in shown.items():
                text += values + wrapped(f"{_places(loads)}: {sureness}", " " * 6)
    if left_out:
        text += wrapped(f"{left_out} further lines of these variants are in changes.csv.")
    return text


def _machines(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    for kernel, of_kernel in rows.groupby(f"{BEFORE}kernel"):
        for machine, part in comparable_parts(of_kernel):
            yield (str(kernel), machine), part


def _places(loads: Mapping[str, Sequence[str]]) -> str:
    """Return under which loads what was asked for."""
    sizes = {tuple(asked) for asked in loads.values()}
    names = [load.replace("_", " ") for load in loads]
    if len(sizes) == 1:
        return f"{', '.join(names)}; {', '.join(*sizes)}"
    return "; ".join(
        f"{name}, {', '.join(asked)}" for name, asked in zip(names, loads.values(), strict=True)
    )


def _values(row: Mapping[Any, Any]) -> str:
    """Return the line of a row in the robot's form."""
    before, after = (value_label(row, which).replace(" %", "%") for which in ("before", "after"))
    change = change_label(row["relative_change"]).replace(" %", "%")
    return _COLUMNS.format(before, change, after, row["quantity"]).rstrip() + "\n"


def _sureness(row: Mapping[Any, Any]) -> Iterator[str]:
    yield f"{row['pairs_up']} up, {row['pairs_down']} down of {row['pairs']} pairs"
    seeds = f"{row['seeds']} seed{'s' * (row['seeds'] != 1)}"
    if row["exact"]:
        yield f"the same in each of {seeds}"
    elif ends := relative_ends(row, "low", "high"):
        yield f"95% {_span(ends)}, {seeds}"
    elif ends := relative_ends(row, "least", "most"):
        low, high = (f"{end * 100:+.1f}%" for end in ends)
        yield f"{low} in each of {seeds}" if low == high else f"{_span(ends)} over {seeds}"
    else:
        yield seeds
    if pd.notna(row["p_corrected"]):
        p_text = p_label(row["p_corrected"])
        yield f"p {p_text}" if p_text[0] == "<" else f"p = {p_text}"
    if pd.notna(row["seeds_needed"]):
        yield f"{row['seeds_needed']} seeds would tell"


def _span(ends: tuple[float, float]) -> str:
    return " to ".join(f"{end * 100:+.1f}" for end in ends) + "%"
