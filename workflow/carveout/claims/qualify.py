# SPDX-License-Identifier: GPL-2.0-only
"""Who gives what a need takes, and which of them does it best.

Variants are judged and ranked by doses that all of them ran, and ranked by the worst that they do
with each seed, over the loads and doses that the need is about: a mean over loads would be of a
mixture that nobody has. Where there are several hosts these count, each with the mean of its seeds.
Where a variant lends nothing it does nothing, so a need says in its conditions where it has to
lend.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from carveout.claims import numbers
from carveout.claims.check import HELD, Check, tell
from carveout.claims.evidence import VARIANT, CommonDoses, Evidence
from carveout.claims.needs import Condition, Measure, Need
from carveout.claims.verdicts import counterexamples, is_fulfilled
from carveout.common.errors import CarveoutError
from carveout.statistics.compare import EQUAL_COST_SHARE
from carveout.statistics.differences import (
    LEVEL,
    holm,
    sign_flip_p_values,
)
from carveout.statistics.intervals import Numbers, units_of
from carveout.tables.claims_tables import HOST, NEEDS, NOT_AVAILABLE, SEED
from carveout.tables.schema import COMPARABLE, KERNEL_COLUMNS

_KEY = [*COMPARABLE, *VARIANT]
_RANKS = {"measure": "Float64", "rank": "Int64", "best": "boolean", "tells_apart": "boolean"}

# What a row of a table is.
_ROWS = {"trials": "requests", "phases": "censuses"}
# Trials of kernels that are the same to the bit, under two names, have one id.
_TRIAL = [*KERNEL_COLUMNS, "trial_id"]

# Strategy and variant, after what is compared.
Key = tuple[Any, ...]


@dataclass(frozen=True)
class _Broken:
    """Of a condition that a variant does not meet: in a few words, and what is said of it."""

    words: str
    said: str


@dataclass(frozen=True)
class _Verdict:
    """Whether a variant qualifies, null where it cannot be told; in a few words and in full why."""

    qualifies: bool | None
    broken: str | None = None
    why_not: str | None = None


@dataclass
class _Found:
    """What became of one condition.

    Attributes:
        broken: the variants that do not meet it.
        told: the variants of which it is known whether they do.
        unknown: what is said of the others; None if these do not need it.
    """

    broken: dict[Key, _Broken]
    told: set[Key]
    unknown: str | None


def judge_needs(needs: Iterable[Need], evidence: Evidence) -> pd.DataFrame:
    """Return the table `needs`: one row for each need and variant, of all that were asked for."""
    asked = evidence.rows("trials")
    if asked is None:
        raise CarveoutError("wanted the table trials to judge needs by, found none")
    common = CommonDoses(evidence)
    parts = [_judged(need, common, asked) for need in needs]
    parts = [part for part in parts if not part.empty]
    columns = list(NEEDS.columns)
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def _judged(need: Need, evidence: Evidence, asked: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one need."""
    if need.granules:
        asked = asked[asked["granule"].isin(need.granules)]
    if asked.empty:
        return pd.DataFrame()
    found = [_found(condition, evidence) for condition in need.conditions]
    variants = asked.groupby(_KEY).agg(run=("_run", "any"), message=("message", "first"))
    verdicts = {
        key: _verdict(key, found) if run else _not_available(message)
        for key, run, message in variants.itertuples(name=None)
    }
    judged = variants.index.to_frame(index=False).assign(
        need=need.name,
        place=need.place,
        qualifies=pd.Series([each.qualifies for each in verdicts.values()], dtype="boolean"),
        broken=pd.Series([each.broken for each in verdicts.values()], dtype="object"),
        why_not=pd.Series([each.why_not for each in verdicts.values()], dtype="object"),
        measure_name=need.measure.name,
        unit=HOST if (asked["layout"] > 0).any() else SEED,
        more_is_better=need.measure.more_is_better,
    )
    values = _values(need.measure, evidence, asked)
    return pd.concat(
        [
            _ranked(part, values.merge(part[_KEY], on=_KEY), need.measure.more_is_better)
            for _, part in judged.groupby(list(COMPARABLE), sort=False)
        ]
    )


def _not_available(message: Any) -> _Verdict:
    said = NOT_AVAILABLE if pd.isna(message) else f"{NOT_AVAILABLE}: {message}"
    return _Verdict(qualifies=False, broken=NOT_AVAILABLE, why_not=said)


def _verdict(key: Key, found: Sequence[_Found]) -> _Verdict:
    broken = [each.broken[key] for each in found if key in each.broken]
    if broken:
        words = dict.fromkeys(each.words for each in broken)
        said = "; ".join(each.said for each in broken)
        return _Verdict(qualifies=False, broken="; ".join(words), why_not=said)
    unknown = [each.unknown for each in found if each.unknown and key not in each.told]
    return _Verdict(None, why_not="; ".join(unknown)) if unknown else _Verdict(qualifies=True)


def _found(condition: Condition, evidence: Evidence) -> _Found:
    """Return which variants do not meet a condition, and of which that is known."""
    check = condition.check
    told = tell(check, evidence)
    unknown = told.why_none or f"not measured: {check.holds.text}"
    found = _Found({}, set(), None if condition.optional else unknown)
    if told.why_none is not None:
        return found
    for key, all_rows in told.rows.groupby(_KEY):
        rows = all_rows[all_rows[HELD].notna()]
        if rows.empty:
            continue
        found.told.add(key)
        if not is_fulfilled(check, rows):
            against = counterexamples(check, rows)
            worst = {name: _word(name, against.iloc[0][name]) for name in check.shows}
            said = condition.fails.format_map(worst)
            found.broken[key] = _Broken(condition.broken, said + _how_often(check, against, rows))
    return found


def _how_often(check: Check, against: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Return in how many rows of how many it is as in the worst, or of how many that is one."""
    of = f"{len(rows)} {_ROWS.get(check.table, 'rows')}"
    if len(against) == 1:
        return f", the only failure in {of}"
    if all(miss.nunique() == 1 for miss in check.holds.misses(against)):
        return f", as in {len(against)} of {of}"
    return f", the worst of {len(against)} failures in {of}"


def _word(name: str, value: Any) -> str:
    """Return a value as a sentence has it: shares to a tenth of a percent, names in words."""
    if isinstance(value, str):
        return value.replace("_", " ")
    is_share = name.endswith("_share") and not pd.isna(value)
    return numbers.value_label(name, round(value, 3) if is_share else value)


def _values(measure: Measure, evidence: Evidence, asked: pd.DataFrame) -> pd.DataFrame:
    """Return the measure of each row that has it, with what tells rows apart, seed and unit."""
    rows = evidence.part(measure.table, {*measure.columns(), "trial_id"})
    if rows is None:
        return pd.DataFrame(columns=[*_KEY, "seed", "unit", "value"])
    rows = rows[rows["_run"]]
    rows = rows if measure.rows is None else rows[measure.rows.holds(rows)]
    rows = rows.assign(value=measure.value.values(rows)).dropna(subset=["value"])
    layouts = asked[[*_TRIAL, "layout"]].drop_duplicates(_TRIAL)
    rows = rows.drop(columns="layout", errors="ignore").merge(layouts, on=_TRIAL)
    return rows.assign(unit=units_of(rows["layout"], rows["seed"]))


def _ranked(part: pd.DataFrame, values: pd.DataFrame, more_is_better: bool) -> pd.DataFrame:
    """Return the rows of one machine and granule with their measure and rank."""
    table = part.assign(
        **{name: pd.Series(pd.NA, part.index, dtype=kind) for name, kind in _RANKS.items()}
    )
    table = table.assign(best=False).set_index(list(VARIANT))
    for qualifies, rows in table.groupby(table["qualifies"].fillna(value=False)):
        own = values[pd.MultiIndex.from_frame(values[list(VARIANT)]).isin(rows.index)]
        by_unit = _by_unit(own, more_is_better)
        names = by_unit.index
        table.loc[names, "measure"] = by_unit.median(axis=1).astype("Float64")
        if qualifies and len(names) and by_unit.notna().all(axis=None):
            ranks = _ranks(by_unit.to_numpy(np.float64) * (-1 if more_is_better else 1))
            for name, values_of in ranks.items():
                table.loc[names, name] = pd.Series(values_of, names, dtype=_RANKS[name])
    return table.reset_index()


def _by_unit(values: pd.DataFrame, more_is_better: bool) -> pd.DataFrame:
    """Return the worst value of each variant with each seed, whatever others do.

    Where there are several hosts it is the mean of each host's seeds.
    """
    if values.empty:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=VARIANT))
    seeds = values.groupby([*VARIANT, "unit", "seed"])["value"]
    worst = seeds.min() if more_is_better else seeds.max()
    return worst.groupby([*VARIANT, "unit"]).mean().unstack("unit")


def _ranks(costs: Numbers) -> dict[str, list[Any]]:
    """Return the ranks of rows of costs, one a unit, and of which the best is told apart."""
    middle = np.median(costs, axis=1)
    first = int(np.argmin(middle))
    apart = told_apart(costs, first)
    places = [
        1 if is_apart is False else 1 + int((middle < own).sum())
        for is_apart, own in zip(apart, middle, strict=True)
    ]
    return {"rank": places, "best": [place == 1 for place in places], "tells_apart": apart}


def told_apart(costs: Numbers, best: int) -> list[bool | None]:
    """Return of each row of costs, one a unit, whether the best one is told apart from it.

    A unit is a host where there are several, else a seed. What lies within 5 % of the best is not
    told apart. Where there are units and none changes either, it is. Else the units decide: sign
    flips, with Holm's correction. Null of the best itself, and where the units do not tell: that
    they disagree does not make two costs equal.
    """
    apart: list[bool | None] = [None] * len(costs)
    differences = costs - costs[best]
    margin = EQUAL_COST_SHARE * abs(float(np.median(costs[best])))
    tested = []
    for row in range(len(costs)):
        if row == best:
            continue
        if abs(float(np.median(differences[row]))) <= margin:
            apart[row] = False
        elif costs.shape[1] > 1 and np.ptp(costs[row]) == 0 and np.ptp(costs[best]) == 0:
            apart[row] = True
        else:
            tested.append(row)
    if tested:
        for row, p_value in zip(tested, holm(sign_flip_p_values(differences[tested])), strict=True):
            apart[row] = True if p_value < LEVEL else None
    return apart
