# SPDX-License-Identifier: GPL-2.0-only
"""Needs of those who lend memory: which variants give what one takes, and which does it best."""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from carveout.claims import numbers
from carveout.claims.check import ALL, ANY, HELD, NONE, Check, read_check, tell
from carveout.claims.evidence import VARIANT, Evidence, kinds_of
from carveout.claims.expressions import NUMBERS, TRUTHS, Expression, parse
from carveout.claims.ranks import ranked
from carveout.common import schemas
from carveout.common.errors import CarveoutError
from carveout.tables.claims_tables import NEEDS
from carveout.tables.schema import COMPARABLE

_KEY = [*COMPARABLE, *VARIANT]


@dataclass(frozen=True)
class Condition:
    """One thing that a variant has to give.

    Attributes:
        check: whether it does.
        fails: what is said of one that does not, with columns of a row against it in braces.
        optional: whether it counts only where it was measured.
    """

    check: Check
    fails: str
    optional: bool


@dataclass(frozen=True)
class Measure:
    """By what those that qualify are ranked.

    Attributes:
        name: ends in its unit.
        title: for people.
        table: that it is of.
        rows: of which rows; of all if None.
        value: of a row.
        more_is_better: or less is.
    """

    name: str
    title: str
    table: str
    rows: Expression | None
    value: Expression
    more_is_better: bool

    def columns(self) -> set[str]:
        """Return the columns of the table that it needs."""
        return {*self.value.names, *(self.rows.names if self.rows else ())}


@dataclass(frozen=True)
class Need:
    """What somebody who lends memory needs; `granules` are all where there are none."""

    name: str
    title: str
    description: str
    granules: Sequence[str]
    conditions: Sequence[Condition]
    measure: Measure


def read_needs(files: Iterable[Path]) -> list[Need]:
    """Return the needs that files have.

    Raises:
        CarveoutError: one that is none.
    """
    return [_read_need(path) for path in files]


def _read_need(path: Path) -> Need:
    content = schemas.load_yaml(path)
    schemas.check(content, "need", str(path))
    return Need(
        name=path.stem,
        title=content["title"],
        description=" ".join(content["description"].split()),
        granules=tuple(content.get("granules", ())),
        conditions=[
            _read_condition(condition, f"{path}: condition {number} ({condition['fails']})")
            for number, condition in enumerate(content["qualifies"], start=1)
        ],
        measure=_read_measure(content["measure"], f"{path}: key measure"),
    )


def _read_condition(content: Mapping[str, Any], where: str) -> Condition:
    fields = _fields(content["fails"], where)
    check = read_check(content["check"] | ({"shows": fields} if fields else {}), where)
    return Condition(check, content["fails"], content.get("optional", False))


def _fields(template: str, where: str) -> list[str]:
    """Return the columns that a template names; refuse all else that braces may hold."""
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise CarveoutError(f"{where}: key fails: {error}") from None
    for name, form, conversion in parts:
        if not str(name).isidentifier() or form or conversion:
            raise CarveoutError(f"{where}: key fails: wanted a column in braces, found {name!r}")
    return list(dict.fromkeys(str(name) for name, _, _ in parts))


def _read_measure(content: Mapping[str, Any], where: str) -> Measure:
    kinds = kinds_of(content["table"])
    rows = content.get("rows")
    return Measure(
        name=content["name"],
        title=content["title"],
        table=content["table"],
        rows=None if rows is None else parse(rows, kinds, TRUTHS, f"{where}.rows"),
        value=parse(content["value"], kinds, NUMBERS, f"{where}.value"),
        more_is_better=content.get("more_is_better", False),
    )


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
    found = asked.groupby(_KEY, as_index=False).agg(run=("_run", "any"), message=("message", "first"))
    failures = [_failures(condition, evidence) for condition in need.conditions]
    verdicts = [
        _verdict(row, cast("tuple[str, ...]", tuple(row[name] for name in _KEY)), failures)
        for row in found.to_dict("records")
    ]
    judged = found[_KEY].assign(
        need=need.name,
        qualifies=pd.array([verdict for verdict, _ in verdicts], dtype="boolean"),
        why_not=[why for _, why in verdicts],
        measure_name=need.measure.name,
        more_is_better=need.measure.more_is_better,
    )
    return ranked(judged, _values(need.measure, evidence), need.measure.more_is_better)


def _verdict(
    row: Mapping[Any, Any],
    key: tuple[str, ...],
    failures: Sequence[Mapping[tuple[str, ...], tuple[bool | None, str]]],
) -> tuple[bool | None, str | None]:
    """Return whether a variant qualifies, null where it cannot be told, and why not."""
    if not row["run"]:
        reason = "" if pd.isna(row["message"]) else f": {row['message']}"
        return False, f"not available{reason}"
    found = [failed[key] for failed in failures if key in failed]
    broken = [why for is_met, why in found if is_met is False]
    unknown = [why for is_met, why in found if is_met is None]
    if broken:
        return False, "; ".join(broken)
    return (None, "; ".join(unknown)) if unknown else (True, None)


class _Failures(dict[tuple[str, ...], tuple[bool | None, str]]):
    """What is said of variants that do not meet a condition, or of which it is not known."""

    def __init__(self, unknown: str | None) -> None:
        super().__init__()
        self.known: set[tuple[str, ...]] = set()
        self._unknown = unknown

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (key not in self.known and self._unknown is not None)

    def __missing__(self, key: tuple[str, ...]) -> tuple[bool | None, str]:
        return None, str(self._unknown)


def _failures(condition: Condition, evidence: Evidence) -> _Failures:
    """Return which variants do not meet a condition, and of which it is not known."""
    check = condition.check
    told = tell(check, evidence)
    unknown = told.why_none or f"not measured: {check.holds.text}"
    failures = _Failures(None if condition.optional else unknown)
    if told.why_none is not None:
        return failures
    rows = told.rows[told.rows[HELD].notna()]
    rows = rows.assign(**{HELD: rows[HELD].astype(bool)})
    counts = rows.groupby(_KEY)[HELD].agg(["sum", "count"])
    held, count = counts["sum"], counts["count"]
    by_word = {ALL: held == count, ANY: held > 0, NONE: held == 0}
    met = by_word[check.of] if isinstance(check.of, str) else held / count >= check.of
    failures.known = set(counts.index)
    against = rows[rows[HELD]] if check.of == NONE else rows[~rows[HELD]]
    examples = against.drop_duplicates(_KEY).set_index(_KEY, drop=False)
    for key in counts.index[~met]:
        row = examples.loc[key]
        words = {name: numbers.value_label(name, row[name]) for name in check.shows}
        failures[key] = (False, condition.fails.format_map(words))
    return failures


def _values(measure: Measure, evidence: Evidence) -> pd.DataFrame:
    """Return the measure of each row that has it, with what tells rows apart."""
    rows = evidence.rows(measure.table)
    if rows is None:
        return pd.DataFrame(columns=[*_KEY, "seed", "value"])
    rows = rows[rows["_run"]]
    rows = rows if measure.rows is None else rows[measure.rows.holds(rows)]
    return rows.assign(value=measure.value.values(rows)).dropna(subset=["value"])
