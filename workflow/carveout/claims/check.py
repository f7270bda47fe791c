# SPDX-License-Identifier: GPL-2.0-only
"""Checks over tables: which rows, held against which others, and what has to hold in each.

A check is data, read from YAML and checked before anything is judged: its expressions name columns
that are there and run no code. Whether a row of which something is not known would have held cannot
be told, so it counts on neither side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from carveout.claims.evidence import CHECKABLE, NOT_RUN, Evidence, kinds_of, pairing_of
from carveout.claims.expressions import CONSTANTS, NUMBERS, TRUTHS, Expression, parse
from carveout.common.errors import CarveoutError

# Before the names of columns of the rows that others are held against.
AGAINST = "against_"
ALL, ANY, NONE = "all", "any", "none"
# Whether what has to hold does, of a row; null where it cannot be told.
HELD = "_held"
_STATISTICS = ("median", "mean", "min", "max")


@dataclass(frozen=True)
class Against:
    """The rows that others are held against, one for each set of values that both have in common.

    Attributes:
        rows: which. On a strategy's page they are of that strategy, unless `strategy` is named.
        by: the columns of which a row and the one that it is held against have the same values.
        statistic: of several rows with the same values.
    """

    rows: Expression
    by: tuple[str, ...]
    statistic: str


@dataclass(frozen=True)
class Check:
    """A check over one table.

    Attributes:
        table: its name.
        rows: which of its rows; all if None.
        against: what each is held against, if it is held against anything.
        where: what is computed first, by its name.
        holds: what has to hold in a row.
        of: in which rows: all, any, none, or the least share of them.
        shows: the columns whose values say what was found.
        lacks: what is not there where there are no such rows, if it was said.
    """

    table: str
    rows: Expression | None
    against: Against | None
    where: Mapping[str, Expression]
    holds: Expression
    of: str | float
    shows: tuple[str, ...]
    lacks: str | None

    def columns(self) -> set[str]:
        """Return the columns of the table that the check needs."""
        expressions = [self.holds, *self.where.values()]
        expressions += [] if self.rows is None else [self.rows]
        names = {name for expression in expressions for name in expression.names} | {*self.shows}
        if self.against is not None:
            names |= {*self.against.rows.names, *self.against.by}
        return ({name.removeprefix(AGAINST) for name in names} | names) & set(kinds_of(self.table))


def read_check(content: Mapping[str, Any], where: str) -> Check:
    """Return the check that a file has, which follows the schema.

    Args:
        content: what the file has.
        where: file and statement, for errors.

    Raises:
        CarveoutError: a table, a column or an expression that is none.
    """
    table = content["table"]
    if table not in CHECKABLE:
        raise CarveoutError(
            f"{where}: key table: unknown table {table}; there are {', '.join(CHECKABLE)}"
        )
    kinds = kinds_of(table)
    against = None
    if "against" in content:
        against = _read_against(content["against"], table, kinds, f"{where}: key against")
        kinds |= {f"{AGAINST}{name}": NUMBERS for name, kind in kinds.items() if kind == NUMBERS}
    computed = {}
    for name, text in content.get("where", {}).items():
        if name in kinds or name in CONSTANTS:
            raise CarveoutError(f"{where}: key where.{name}: there is a column of this name")
        computed[name] = parse(text, kinds, NUMBERS, f"{where}: key where.{name}")
        kinds[name] = NUMBERS
    holds = parse(content["holds"], kinds, TRUTHS, f"{where}: key holds")
    rows = content.get("rows")
    shows = tuple(content.get("shows", holds.names))
    for name in shows:
        if name not in kinds:
            raise CarveoutError(
                f"{where}: key shows: unknown column {name}; there are {', '.join(sorted(kinds))}"
            )
    return Check(
        table=table,
        rows=None if rows is None else parse(rows, kinds, TRUTHS, f"{where}: key rows"),
        against=against,
        where=computed,
        holds=holds,
        of=content.get("of", ALL),
        shows=shows,
        lacks=content.get("lacks"),
    )


def _read_against(
    content: Mapping[str, Any], table: str, kinds: Mapping[str, str], where: str
) -> Against:
    by = tuple(content.get("by", pairing_of(table)))
    for name in by:
        if name not in kinds:
            raise CarveoutError(
                f"{where}.by: unknown column {name}; there are {', '.join(sorted(kinds))}"
            )
    if taken := [name for name in kinds if name.startswith(AGAINST)]:
        raise CarveoutError(
            f"{where}: table {table} has {', '.join(taken)}: its rows compare already; leave the "
            "key out"
        )
    return Against(
        rows=parse(content["rows"], kinds, TRUTHS, f"{where}.rows"),
        by=by,
        statistic=content.get("statistic", _STATISTICS[0]),
    )


@dataclass(frozen=True)
class Told:
    """What the tables say to a check.

    Attributes:
        rows: those that it is of, with a column `HELD`.
        why_none: why it cannot be told at all; None where a row tells it.
    """

    rows: pd.DataFrame
    why_none: str | None


def tell(check: Check, evidence: Evidence, strategy: str | None = None) -> Told:
    """Return the rows that a check is of, and whether it holds in each.

    Args:
        check: the check.
        evidence: the tables.
        strategy: of whose rows it is; of all if None.
    """
    table = evidence.part(check.table, check.columns())
    if table is None:
        return Told(pd.DataFrame({HELD: []}), f"there is no table {check.table}")
    own = table if strategy is None else table[table["strategy"] == strategy]
    others = own if check.against and "strategy" not in check.against.rows.names else table
    counts_all = not check.columns().isdisjoint(NOT_RUN)
    selected = _selected(check, own, others if counts_all else others[others["_run"]])
    rows = selected if counts_all else selected[selected["_run"]]
    rows = rows.assign(**{HELD: check.holds.values(rows)})
    if rows[HELD].notna().any():
        return Told(rows, None)
    if not rows.empty:
        return Told(rows, _why_null(check, rows))
    return Told(rows, _why_no_rows(check, own, others, selected))


def _selected(check: Check, own: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a check is of, with what it computes."""
    rows = own
    if check.against is not None:
        by = list(check.against.by)
        other = others[check.against.rows.holds(others)]
        names = sorted({name for name in check.columns() if name in others} - {*by})
        numbers = [name for name in names if kinds_of(check.table)[name] == NUMBERS]
        reduced = other.groupby(by, dropna=False)[numbers].agg(check.against.statistic)
        rows = rows.merge(reduced.add_prefix(AGAINST).reset_index(), on=by, how="inner")
        rows = rows.assign(**{f"{AGAINST}{name}": rows[name] for name in by if name in numbers})
    for name, expression in check.where.items():
        rows = rows.assign(**{name: expression.values(rows)})
    return rows if check.rows is None else rows[check.rows.holds(rows)]


def _why_null(check: Check, rows: pd.DataFrame) -> str:
    """Return what is not known of any row."""
    names = [name for name in check.holds.names if rows[name].isna().all()]
    return f"not measured in any of {len(rows)} rows: {', '.join(names or check.holds.names)}"


def _why_no_rows(
    check: Check, own: pd.DataFrame, others: pd.DataFrame, selected: pd.DataFrame
) -> str:
    """Return why there is no row: nothing was run, or nothing of the kind was asked for."""
    away = selected
    if away.empty and check.against is not None:  # perhaps what it is held against was not run
        away = others[check.against.rows.holds(others) & ~others["_run"]]
    reasons = [name for name in ("why_not_available", "message") if name in away]
    why = away[reasons].stack().dropna() if reasons and not away.empty else pd.Series(dtype="str")
    if not why.empty:
        return f"not available: {why.iloc[0]}"
    if not away.empty:
        return "not available"
    if check.lacks is not None:
        return f"this run has no {check.lacks}"
    if own.empty:
        return "this run has no trial of this strategy"
    return f"this run has no row of the table {check.table} that it is of"
