# SPDX-License-Identifier: GPL-2.0-only
"""Whether a cell of the mail's text is what the tables' files have."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from tests.unit.made_tables import NEEDS, REFERENCE
from tests.unit.reading import Tables, read_number
from tests.unit.reading_mail import Cell

# Verdicts on a difference that say that there is one.
TOLD = ("differs", "exact", "clear")
GRANULES = {"in any pages": "page", "in pieces of 2M": "2M"}
Rows = list[dict[str, Any]]


@functools.cache
def of_machine(tables: Tables, name: str, machine: str) -> Rows:
    """The rows of a table that are of a machine."""
    table = tables[name]
    kernel, granule = machine.partition(" (")[0], machine.rpartition(", ")[2]
    own = table[(table["kernel"] == kernel) & (table["granule"] == GRANULES[granule])]
    return [{str(name): value for name, value in row.items()} for row in own.to_dict("records")]


def pick(rows: Rows, pair: tuple[str, str], **where: Any) -> Rows:
    """The rows of a variant, with some values."""
    wanted = {"strategy": pair[0], "variant": pair[1], **where}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def largest(rows: Rows, known: str = "") -> dict[str, Any]:
    """The row of the largest request that knows something, else of the smallest."""
    ordered = sorted(rows, key=lambda row: (row["request_bytes"], row.get("cycle", 0)))
    fit = [row for row in ordered if not known or pd.notna(row[known])]
    return fit[-1] if fit else ordered[0]


def checked(cell: str, value: float, column: str) -> bool:
    """Whether a cell says a value; a dash says that there is none."""
    if pd.isna(value):
        return cell == "-"
    shown, off = read_number(cell, column)
    return abs(shown - value) <= off


class Known:
    """What the tables have for a cell of the text."""

    def __init__(self, tables: Tables, machine: str, pair: tuple[str, str]) -> None:
        self.pair = pair
        self.rows = {
            name: pick(of_machine(tables, name, machine), pair)
            for name in ("variants", "summary", "curves", "comparisons")
        }

    def of_variants(self, column: str, known: str = "memmap_per_lent_gib_bytes") -> float:
        """A number of the largest request that was lent."""
        own = pick(self.rows["variants"], self.pair)
        return float(largest(own, known)[column])

    def curve(self, load: str) -> dict[str, Any]:
        """The last curve of the largest request under a load."""
        return largest(pick(self.rows["curves"], self.pair, load=load))

    def cells(self, load: str) -> Rows:
        """The cells of that curve whose load was there or refused, the lowest dose first."""
        curve = self.curve(load)
        where = {name: curve[name] for name in ("load", "requests", "cycle", "request_bytes")}
        own = [
            row
            for row in pick(self.rows["summary"], self.pair, **where)
            if row["load_refused"] or not row["dose_achieved"] < row["dose_target"] - 2
        ]
        return sorted(own, key=lambda row: float(row["dose_target"]))

    def compared(self, load: str, quantity: str) -> dict[str, Any] | None:
        """What is compared of it with the baseline under a load."""
        own = pick(self.rows["comparisons"], self.pair, load=load, quantity=quantity)
        return largest(own) if own else None


@functools.cache
def known_of(tables: Tables, machine: str, pair: tuple[str, str]) -> Known:
    """What the tables have of a variant on a machine."""
    return Known(tables, machine, pair)


def says_compared(cell: Cell, tables: Tables, known: Known, quantity: str) -> bool:
    """Whether a cell says the mean, by how much it is better, and whether that is told."""
    unit, load = "bytes" if quantity == "granted_bytes" else "ns", cell.column.replace(" ", "_")
    others = [
        row
        for row in of_machine(tables, "comparisons", cell.machine)
        if (row["load"], row["quantity"]) == (load, quantity)
        and row["request_bytes"] == known.curve(load)["request_bytes"]
    ]
    most = max(row["most_dose"] for row in others)
    usual = (min(row["least_dose"] for row in others if row["most_dose"] == most), most)
    ends = [f"{dose:g}%" for dose in dict.fromkeys(usual)]
    if usual[1] and f"{load.replace('_', ' ')} {' to '.join(ends)}" not in cell.title:
        return False
    if known.pair == REFERENCE:
        value, _, gain = cell.text.partition(" (")
        there = {
            row["against_value"] for row in others if (row["least_dose"], row["most_dose"]) == usual
        }
        return gain.strip(" ") == "=)" and any(checked(value, own, unit) for own in there)
    row = known.compared(load, quantity)
    if row is None:
        return cell.text == "-"
    value, gain = re.fullmatch(r"(.*?) ([(*].*?[)*])", cell.text).groups()  # type: ignore[union-attr]
    if not checked(value, row["value"], unit):
        return False
    if (row["least_dose"], row["most_dose"]) != usual:
        return says_range(gain, row, usual[0])
    is_told = gain.startswith("*") and gain.endswith("*")
    return is_told == (row["verdict"] in TOLD) and says_gain(str(gain).strip("()* "), row)


def says_range(text: str, row: Mapping[str, Any], usual_least: float) -> bool:
    """Whether it is said up to which dose a variant was compared, or over which doses."""
    match = re.fullmatch(r"\( *(?:(at|to) |([\d.]+)% to )([\d.]+)%\)", text)
    if match is None or abs(float(match[3]) - row["most_dose"]) > 0.0501:
        return False
    if row["least_dose"] == row["most_dose"]:
        return match[1] == "at"
    if row["least_dose"] == usual_least:
        return match[1] == "to"
    return match[2] is not None and abs(float(match[2]) - row["least_dose"]) <= 0.0501


def says_gain(gain: str, row: Mapping[str, Any]) -> bool:
    """Whether it is said by how much a value is better than the baseline's."""
    if row["value"] == row["against_value"]:
        return gain == "="
    if not row["against_value"]:
        return gain == "-"
    ratio = row["value"] / row["against_value"]
    if ratio > 10:
        return gain == f"x{round(ratio)}"
    if 0 < ratio < 0.1:
        return gain == f"1/{round(1 / ratio)}"
    there = (ratio - 1) * 100 * (1 if row["quantity"] == "granted_bytes" else -1)
    digits = len(gain.strip("%").partition(".")[2])
    return bool(abs(float(gain.strip("%")) - there) <= 0.5001 * 10**-digits)


def says_until(cell: Cell, known: Known) -> bool:
    """Whether a cell says up to which dose all and half is lent, and the load is carried."""
    load = cell.column.replace(" ", "_")
    curve = known.curve(load)
    last, turns = curve["most_dose"], curve["turning_point"]
    carries = last if pd.isna(curve["refused_from_dose"]) else curve["carries_until_dose"]
    goes_on = "[+]" if pd.isna(curve["refused_from_dose"]) else "r"
    whole = [row["dose_target"] for row in known.cells(load) if row["successes"] == row["trials"]]
    some = [row["dose_target"] for row in known.cells(load) if row["successes"] < row["trials"]]
    whole = [dose for dose in whole if not some or dose < min(some)]
    half = last if pd.isna(turns) and pd.notna(curve["half_until_dose"]) else turns
    is_refusal = curve["fall"] == "load_refused"
    wanted = [
        (whole[-1] if whole else float("nan"), ""),
        (half, "r" if is_refusal else ""),
        (carries, "" if goes_on == "r" else "[+]"),
    ]
    for place, (text, (dose, mark)) in enumerate(zip(cell.text.split("/"), wanted, strict=True)):
        if pd.isna(dose) and text == "-":
            continue
        end = mark or (goes_on if dose == carries and place < 2 else "")
        match = re.fullmatch(rf"([\d.]+){end}", text)
        if match is None or abs(float(match[1]) - dose) > 0.0501:
            return False
    return True


ASIDE = {
    "idle, by host": "memmap_idle_host_bytes",
    "lent, by host": "memmap_host_bytes",
    "lent, by itself": "memmap_self_bytes",
    "per GiB lent": "memmap_per_lent_gib_bytes",
    "stranded": "stranded_bytes",
    "movable alone": "movable_only_bytes",
}
OF_IDLE = ("idle, by host", "stranded", "movable alone")
BACK = {
    "regained": "regained_share",
    "kept back": "kept_back_share",
    "for movable": "reuse_movable_share",
    "for unmovable": "reuse_unmovable_share",
    "the owner's": "owner_discarded_share",
    "extents": "extents_p50",
}


def says_back(cell: Cell, known: Known) -> bool:
    """Whether a cell of what comes back and of how a lend looks is what the tables have."""
    if cell.column == "clearing 1 GiB":
        own = known.of_variants("zero_ns_per_gib_p50", "zero_ns_p50")
        return is_said(cell, own, "ns")
    return is_said(cell, known.of_variants(BACK[cell.column]), BACK[cell.column])


def is_said(cell: Cell, value: float, column: str) -> bool:
    """Whether a cell says a value; what is said of all lines need not be known of each."""
    return (cell.is_alike and pd.isna(value)) or checked(cell.text, value, column)


def _reason(letter: str, title: str) -> str:
    """What a title says that a letter stands for."""
    match = re.search(rf"; no {letter}: ([^;]+)(?:;|\. In every|$)", title)
    return match[1] if match else ""


def says_need(cell: Cell, tables: Tables, known: Known) -> bool:
    """Whether a word is what became of a variant for a need."""
    (need,) = (name for name, title in NEEDS.items() if title == cell.column)
    rows = [row for row in of_machine(tables, "needs", cell.machine) if row["need"] == need]
    (row,) = pick(rows, known.pair)
    if pd.isna(row["qualifies"]):
        return cell.text == "not told"
    if not row["qualifies"]:
        reasons = [_reason(letter, cell.title) for letter in cell.text.split()[1:]]
        return cell.text.startswith("no ") and "; ".join(reasons) == row["broken"]
    first = [r["measure"] for r in rows if r["best"] and pd.isna(r["tells_apart"])]
    if row["best"] and row["measure"] in first:
        return cell.text == "best"
    if pd.notna(row["tells_apart"]):
        return cell.text == ("worse" if row["tells_apart"] else "as good")
    return cell.text == "fit"


def says_vm(cell: Cell, known: Known) -> bool:
    """Whether a cell of VMs is what the tables have."""
    asked = [row for row in known.rows["variants"] if row["vm_asked"] > 0]
    ran = [row for row in asked if row["vm_ran"] > 0]
    row = largest(ran or asked)
    if cell.column == "ran":
        return cell.text == f"{row['vm_ran']}/{row['vm_asked']}"
    if cell.column == "host well":
        return cell.text == f"{row['vm_survived']}/{row['vm_ran']}"
    if cell.column == "first ins.":
        return is_said(cell, row["vm_first_instruction_ns_p50"], "ns")
    if cell.column == "by blocks":
        return is_said(cell, row["vm_block_share"], "share")
    is_device = row["vm_device_share"] > 0
    return is_said(cell, float("nan") if is_device else row["vm_run_ns_per_gib_p50"], "ns")


def says(cell: Cell, tables: Tables, names: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a cell is what the tables have."""
    known = known_of(tables, cell.machine, names[cell.line])
    idle = min(known.rows["variants"], key=lambda row: float(row["request_bytes"]))
    forms: dict[str, Callable[[], bool]] = {
        "By need": lambda: says_need(cell, tables, known),
        "Lent of": lambda: says_compared(cell, tables, known, "granted_bytes"),
        "Time to lend": lambda: says_compared(cell, tables, known, "lend_ns_per_gib"),
        "Time to give": lambda: says_compared(cell, tables, known, "give_back_ns_per_gib"),
        "Up to which dose": lambda: says_until(cell, known),
        "memmap": lambda: is_said(
            cell,
            idle[ASIDE[cell.column]]
            if cell.column in OF_IDLE
            else known.of_variants(ASIDE[cell.column]),
            "bytes",
        ),
        "What comes back": lambda: says_back(cell, known),
        "A VM": lambda: says_vm(cell, known),
    }
    (form,) = (form for start, form in forms.items() if cell.title.startswith(start))
    return form()
