# SPDX-License-Identifier: GPL-2.0-only
"""Who gives what a need takes, and which of them does it best.

Variants are ranked by the worst that they do with each seed, over the loads and doses that the need
is about: a mean over loads would be of a mixture that nobody has. Where a variant lends nothing it
does nothing, so a need says in its conditions where it has to lend.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from carveout.claims import numbers
from carveout.claims.check import HELD, tell
from carveout.claims.evidence import VARIANT, Evidence
from carveout.claims.needs import Condition, Measure, Need
from carveout.claims.verdicts import counterexamples, is_fulfilled
from carveout.common.errors import CarveoutError
from carveout.statistics.compare import EQUAL_COST_SHARE
from carveout.statistics.differences import (
    LEVEL,
    holm,
    sign_flip_p_values,
)
from carveout.statistics.intervals import Numbers
from carveout.tables.claims_tables import NEEDS
from carveout.tables.schema import COMPARABLE

_KEY = [*COMPARABLE, *VARIANT]
_RANKS = {"measure": "Float64", "rank": "Int64", "best": "boolean", "tells_apart": "boolean"}

# Strategy and variant, after what is compared.
Key = tuple[Any, ...]


@dataclass
class _Found:
    """What became of one condition.

    Attributes:
        broken: what is said of the variants that do not meet it.
        told: the variants of which it is known whether they do.
        unknown: what is said of the others; None if these do not need it.
    """

    broken: dict[Key, str]
    told: set[Key]
    unknown: str | None


def judge_needs(needs: Iterable[Need], evidence: Evidence) -> pd.DataFrame:
    """Return the table `needs`: one row for each need and variant, of all that were asked for."""
    asked = evidence.rows("trials")
    if asked is None:
        raise CarveoutError("wanted the table trials to judge needs by, found none")
    parts = [_judged(need, evidence, asked) for need in needs]
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
        key: _verdict(key, found) if run else (False, _not_available(message))
        for key, run, message in variants.itertuples(name=None)
    }
    judged = variants.index.to_frame(index=False).assign(
        need=need.name,
        qualifies=pd.Series([verdict for verdict, _ in verdicts.values()], dtype="boolean"),
        why_not=pd.Series([why for _, why in verdicts.values()], dtype="object"),
        measure_name=need.measure.name,
        more_is_better=need.measure.more_is_better,
    )
    values = _values(need.measure, evidence)
    return pd.concat(
        [
            _ranked(part, values.merge(part[_KEY], on=_KEY), need.measure.more_is_better)
            for _, part in judged.groupby(list(COMPARABLE), sort=False)
        ]
    )


def _not_available(message: Any) -> str:
    return "not available" if pd.isna(message) else f"not available: {message}"


def _verdict(key: Key, found: Sequence[_Found]) -> tuple[bool | None, str | None]:
    """Return whether a variant qualifies, null where it cannot be told, and why not."""
    broken = [each.broken[key] for each in found if key in each.broken]
    if broken:
        return False, "; ".join(broken)
    unknown = [each.unknown for each in found if each.unknown and key not in each.told]
    return (None, "; ".join(unknown)) if unknown else (True, None)


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
            first = counterexamples(check, rows).iloc[0]
            words = {name: _word(name, first[name]) for name in check.shows}
            found.broken[key] = condition.fails.format_map(words)
    return found


def _word(name: str, value: Any) -> str:
    """Return a value as a sentence has it: shares to a tenth of a percent, names in words."""
    if isinstance(value, str):
        return value.replace("_", " ")
    is_share = name.endswith("_share") and not pd.isna(value)
    return numbers.value_label(name, round(value, 3) if is_share else value)


def _values(measure: Measure, evidence: Evidence) -> pd.DataFrame:
    """Return the measure of each row that has it, with what tells rows apart."""
    rows = evidence.part(measure.table, measure.columns())
    if rows is None:
        return pd.DataFrame(columns=[*_KEY, "seed", "value"])
    rows = rows[rows["_run"]]
    rows = rows if measure.rows is None else rows[measure.rows.holds(rows)]
    return rows.assign(value=measure.value.values(rows)).dropna(subset=["value"])


def _ranked(part: pd.DataFrame, values: pd.DataFrame, more_is_better: bool) -> pd.DataFrame:
    """Return the rows of one machine and granule with their measure and rank."""
    table = part.assign(
        **{name: pd.Series(pd.NA, part.index, dtype=kind) for name, kind in _RANKS.items()}
    )
    table = table.assign(best=False).set_index(list(VARIANT))
    for qualifies, rows in table.groupby(table["qualifies"].fillna(value=False)):
        own = values[pd.MultiIndex.from_frame(values[list(VARIANT)]).isin(rows.index)]
        by_seed = _by_seed(own, more_is_better)
        names = by_seed.index
        table.loc[names, "measure"] = by_seed.median(axis=1).astype("Float64")
        if qualifies and len(names) and by_seed.notna().all(axis=None):
            ranks = _ranks(by_seed.to_numpy(np.float64) * (-1 if more_is_better else 1))
            for name, values_of in ranks.items():
                table.loc[names, name] = pd.Series(values_of, names, dtype=_RANKS[name])
    return table.reset_index()


def _by_seed(values: pd.DataFrame, more_is_better: bool) -> pd.DataFrame:
    """Return the worst value of each variant with each seed, whatever others do."""
    if values.empty:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=VARIANT))
    seeds = values.groupby([*VARIANT, "seed"])["value"]
    return (seeds.min() if more_is_better else seeds.max()).unstack("seed")


def _ranks(costs: Numbers) -> dict[str, list[Any]]:
    """Return the ranks of rows of costs, one a seed, and of which the best is told apart."""
    middle = np.median(costs, axis=1)
    first = int(np.argmin(middle))
    apart = told_apart(costs, first)
    places = [
        1 if is_apart is False else 1 + int((middle < own).sum())
        for is_apart, own in zip(apart, middle, strict=True)
    ]
    return {"rank": places, "best": [place == 1 for place in places], "tells_apart": apart}


def told_apart(costs: Numbers, best: int) -> list[bool | None]:
    """Return of each row of costs, one a seed, whether the best one is told apart from it.

    What lies within 5 % of it is not. Where there are seeds and none changes either, it is. Else
    the seeds decide: sign flips, with Holm's correction. Null of the best itself, and where the
    seeds do not tell: that they disagree does not make two costs equal.
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
