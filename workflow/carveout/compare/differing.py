# SPDX-License-Identifier: GPL-2.0-only
"""How two runs differ in themselves: what only one has, and trials that contradict each other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from carveout.common.files import sha256_of
from carveout.compare.sides import Side
from carveout.statistics.pair import PARTNERS, SETTINGS
from carveout.tables.parquet import read_table
from carveout.tables.schema import KERNEL_COLUMNS

# What of a row is how a config calls it, and says nothing of how the trial went.
_NAMES = {
    *(*KERNEL_COLUMNS, "strategy", "variant", "scenario", "load", "requests"),
    *("trials_asked", "replication", "ladder"),
}
_KEYS = {"trials": ("trial_id", "cycle"), "phases": ("trial_id", "cycle", "phase")}
_MACHINE = ["ram_bytes", "granule", "strategy", "variant"]
# What makes one lend: of the same names in both runs, wherever they were set up alike.
_LEND = [name for name in PARTNERS if name not in SETTINGS]


@dataclass(frozen=True)
class Contradictions:
    """Trials of one id that went otherwise in the other run, which cannot be.

    Attributes:
        found: a row for each value, with its trial, table, column, and both values as text.
        same: how many trials both runs have, by their ids.
        excused: how many of those that differ may: hosts with several CPUs, or ended by the clock
            of the runner's machine.
    """

    found: pd.DataFrame
    same: int
    excused: int

    @property
    def trials(self) -> int:
        """How many trials contradict each other."""
        return int(self.found["trial_id"].nunique())


COLUMNS = (
    *("trial_id", "strategy", "variant", "scenario", "dose_target", "seed", "cycle"),
    *("table", "column", "before", "after"),
)


def find_contradictions(before: Side, after: Side) -> Contradictions:
    """Return what differs between trials of the same id: a trial is a function of its id."""
    same = set(before.trials["trial_id"]) & set(after.trials["trial_id"])
    old, new = (side.trials[side.trials["trial_id"].isin(same)] for side in (before, after))
    found = [_differing("trials", old, new)] if same else []
    if same and _have_different_phases(before, after):
        phases = [read_table("phases", side.tables / "phases.parquet") for side in (before, after)]
        found.append(_differing("phases", *(rows[rows["trial_id"].isin(same)] for rows in phases)))
    differing = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*COLUMNS])
    both = pd.concat([old, new])
    may_differ = both[both["cpus"] > 1]
    is_excused = differing["trial_id"].isin(set(may_differ["trial_id"]))
    return Contradictions(
        found=differing[~is_excused].sort_values([*COLUMNS[:9]], ignore_index=True),
        same=len(same),
        excused=int(differing[is_excused]["trial_id"].nunique()),
    )


def _have_different_phases(before: Side, after: Side) -> bool:
    """Return whether both runs have the censuses, and these are not the same files."""
    files = [side.tables / "phases.parquet" for side in (before, after)]
    return all(file.is_file() for file in files) and sha256_of(files[0]) != sha256_of(files[1])


def _differing(table: str, old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return the values that differ between rows of the same trial, a row each."""
    key = list(_KEYS[table])
    # Kernels that are the same to the bit, under two names, have the same trials.
    both = old.drop_duplicates(key).merge(
        new.drop_duplicates(key), on=key, how="outer", suffixes=("", "_new"), indicator="in"
    )
    about = [name for name in COLUMNS if name in old]
    for name in about:
        if name not in key:
            both[name] = both[name].fillna(both[f"{name}_new"])
    found = []
    for column in old.columns:
        if column in _NAMES or column in key:
            continue
        one, other = both[column], both[f"{column}_new"]
        differ = (both["in"] == "both") & ~(
            (one == other).fillna(value=False) | _both_null(one, other)
        )
        rows = both.loc[differ, about].assign(column=column)
        found.append(rows.assign(before=_text(one[differ]), after=_text(other[differ])))
    lost = both[both["in"] != "both"]
    is_before = lost["in"] == "left_only"
    there, gone = pd.Series("there", lost.index), pd.Series("missing", lost.index)
    found.append(
        lost[about].assign(
            column="cycle", before=there.where(is_before, gone), after=gone.where(is_before, there)
        )
    )
    return pd.concat(found, ignore_index=True).assign(table=table)[[*COLUMNS]]


def _both_null(one: "pd.Series[Any]", other: "pd.Series[Any]") -> "pd.Series[bool]":
    return one.isna() & other.isna()


def _text(values: "pd.Series[Any]") -> "pd.Series[str]":
    return values.map(lambda value: "none" if pd.isna(value) else str(value)).astype("str")


@dataclass(frozen=True)
class Coverage:
    """What of two runs can be paired, of kernels that are partners.

    Attributes:
        paired: how many lends have a partner.
        unpaired: how many have none, of before and after.
        common: of what is paired, its distinct values by column.
        alone: what one side alone has, by column: of before, of after.
        set_up_otherwise: settings that differ between lends of the same names: what, before, after.
        lost: variants that ran before and are not available after: their names, and why.
        gained: likewise of those that are available now.
    """

    paired: int
    unpaired: tuple[int, int]
    common: pd.DataFrame
    alone: "dict[str, tuple[list[Any], list[Any]]]"
    set_up_otherwise: list[tuple[str, str, str]]
    lost: pd.DataFrame
    gained: pd.DataFrame


def cover(before: Side, after: Side, partners: Collection[tuple[str, str]]) -> Coverage:
    """Return what can be paired, and what only one side has."""
    # Of several kernels, each is told by its partner's name.
    new_names = dict(partners)
    old = before.trials[before.trials["kernel"].isin(new_names)]
    old = old.assign(kernel=old["kernel"].map(new_names).astype(old["kernel"].dtype))
    new = after.trials[after.trials["kernel"].isin(new_names.values())]
    key = ["kernel", *_LEND]
    both = _run(old)[[*key, *SETTINGS]].merge(
        _run(new)[[*key, *SETTINGS]], on=key, how="outer", suffixes=("", "_new"), indicator="in"
    )
    paired = both[both["in"] == "both"]
    otherwise = []
    for name in SETTINGS:
        differ = paired[paired[name] != paired[f"{name}_new"]]
        if len(differ):
            values = [
                ", ".join(map(str, rows.unique())) for rows in (differ[name], differ[f"{name}_new"])
            ]
            otherwise.append((name, values[0], values[1]))
    is_alike = pd.Series(data=True, index=paired.index)
    for name in SETTINGS:
        is_alike &= (paired[name] == paired[f"{name}_new"]).astype(bool)
    unpaired = [int((both["in"] == one).sum()) for one in ("left_only", "right_only")]
    apart = int((~is_alike).sum())
    return Coverage(
        paired=int(is_alike.sum()),
        unpaired=(unpaired[0] + apart, unpaired[1] + apart),
        common=paired.loc[is_alike, key],
        alone=_alone(_run(old), _run(new)),
        set_up_otherwise=otherwise,
        lost=_unavailable(new, _run(old)),
        gained=_unavailable(old, _run(new)),
    )


def _run(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["outcome"] != "not_available"]


def _alone(old: pd.DataFrame, new: pd.DataFrame) -> "dict[str, tuple[list[Any], list[Any]]]":
    """Return what one side alone ran, a column at a time."""
    columns: Sequence[str | list[str]] = (
        *("ram_bytes", "granule", ["strategy", "variant"], "load", "requests", "seed"),
        ["load", "dose_target"],
    )
    found = {}
    for column in columns:
        values = [_values(rows, column) for rows in (old, new)]
        of_old = [value for value in values[0] if value not in values[1]]
        of_new = [value for value in values[1] if value not in values[0]]
        if of_old or of_new:
            name = column if isinstance(column, str) else column[-1]
            found[name] = (of_old, of_new)
    return found


def _values(rows: pd.DataFrame, column: "str | list[str]") -> list[Any]:
    if isinstance(column, str):
        return sorted(rows[column].unique())
    return sorted(rows[column].drop_duplicates().itertuples(index=False, name=None))


def _unavailable(trials: pd.DataFrame, ran: pd.DataFrame) -> pd.DataFrame:
    """Return which variants are not available here, of those that ran there, and why."""
    away = trials[trials["outcome"] == "not_available"]
    place = ["kernel", *_MACHINE, "load"]
    found = away.drop_duplicates(place)[[*place, "message"]]
    return found.merge(ran[place].drop_duplicates(), on=place).reset_index(drop=True)
