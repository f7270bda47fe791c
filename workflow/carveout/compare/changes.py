# SPDX-License-Identifier: GPL-2.0-only
"""What another kernel changes, as people read it: in the manner of the 0-day robot's mails.

`old ± %stddev   %change   new ± %stddev`, only what changed, and one line on all that did not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import rich.box
import rich.table

from carveout.statistics.pair import LEAST_CHANGE
from carveout.tables.comparison_tables import BEFORE, QUANTITIES
from carveout.tables.schema import KERNEL_COLUMNS
from carveout.wording.labels import Labels, comparable_parts, version_label
from carveout.wording.plain import as_text
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
_LEFT = ("\nwhat", "\nstrategy", "\nload", "\nasked")


@dataclass(frozen=True)
class Changes:
    """What changed from one kernel to another, on one machine in one granule.

    Attributes:
        label: both kernels, the machine and the granule.
        view: one row per significant change, cells are text.
        rest: one line on all that is not in the view.
    """

    label: str
    view: pd.DataFrame
    rest: str


def read_changes(changes: pd.DataFrame, labels: Labels) -> list[Changes]:
    """Return what is to be shown of the table `changes`: nothing where there is one kernel."""
    found = []
    kernels_before = [f"{BEFORE}{name}" for name in KERNEL_COLUMNS]
    for (before, version, pinned), rows in changes.groupby(kernels_before):
        old = f"{before} ({version_label(str(version), str(pinned))})"
        found += [
            Changes(
                f"{old} → {new}; what changed",
                _view(part[part["significant"]], str(before), labels),
                _rest(part, str(before), labels),
            )
            for new, part in comparable_parts(rows)
        ]
    return found


def changes_text(changes: pd.DataFrame, labels: Labels) -> str:
    """Return what changed as plain text, a table per pair of kernels, machine and granule."""
    return "\n".join(
        f"{found.label}\n{_text_table(found.view)}{found.rest}\n"
        for found in read_changes(changes, labels)
    )


def _text_table(view: pd.DataFrame) -> str:
    if view.empty:
        return ""
    table = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in view.columns:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    for row in view.to_numpy():
        table.add_row(*(cell.replace(" %", "%") for cell in row))
    return as_text(table)


def _view(changes: pd.DataFrame, before: str, labels: Labels) -> pd.DataFrame:
    """Return the rows as text."""
    several = sizes_asked_in_several_ways(changes)
    after = changes["kernel"].iloc[0] if len(changes) else ""
    return pd.DataFrame(
        [
            {
                f"{before}\n± stddev": value_label(row, "before"),
                "\nchange": change_label(row["relative_change"]),
                f"{after}\n± stddev": value_label(row, "after"),
                "pairs\nup": str(row["pairs_up"]),
                "pairs\ndown": str(row["pairs_down"]),
                "of\npairs": str(row["pairs"]),
                "\np": p_label(row["p_corrected"]),
                "\nwhat": QUANTITY_LABELS[row["quantity"]][0],
                "\nstrategy": labels.variant(row["strategy"], row["variant"]),
                "\nload": row["load"].replace("_", " "),
                "\nasked": asked_label(row, several),
            }
            for row in ordered(changes, labels)
        ]
    )


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


def _flip(row: Mapping[Any, Any], labels: Labels) -> str:
    values = " → ".join(value_label(row, which) for which in ("before", "after"))
    where = f"{labels.variant(row['strategy'], row['variant'])}, {row['load'].replace('_', ' ')}"
    return f"{values} of {where}, {bytes_label(row['request_bytes'])}"


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


def _rest(changes: pd.DataFrame, before: str, labels: Labels) -> str:
    """Return one line on what is not shown: how much of it is equal, and what is not known.

    Lends that succeed with one kernel alone are named, few as they may be.
    """
    counts = {
        "equal": "equal to the bit in every pair",
        "small": f"changed by less than {LEAST_CHANGE * 100:g} %",
        "cannot_tell": "cannot be told: too few seeds differ, or to no clear side",
        "no_pairs": "have no pair in which both kernels lent all",
    }
    verdicts = changes["verdict"].value_counts()
    not_shown = ", ".join(
        f"{verdicts[name]} {what}" for name, what in counts.items() if name in verdicts
    )
    changed = int(changes["significant"].sum())
    text = f"{changed or 'None'} of {len(changes)} comparisons changed"
    if not_shown:
        text += f"; not shown: {not_shown}"
    untold = (changes["verdict"] == "cannot_tell") & (changes["quantity"] == "success")
    flipped = ordered(changes[untold], labels)
    if flipped:
        text += (
            f". Too few to tell, of successes: {'; '.join(_flip(row, labels) for row in flipped)}"
        )
    lends = changes[changes["quantity"] == "success"][["unpaired_before", "unpaired_after"]].sum()
    if lends.any():
        text += (
            f". Lends without a partner: {lends['unpaired_before']} of {before}, "
            f"{lends['unpaired_after']} of {changes['kernel'].iloc[0]}"
        )
    return f"{text}."
