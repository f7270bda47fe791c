# SPDX-License-Identifier: GPL-2.0-only
"""What the tables say to statements: confirmed, contradicted or not tested, with the numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from carveout.claims import numbers
from carveout.claims.check import ALL, ANY, HELD, NONE, Check, Told, tell
from carveout.claims.evidence import Evidence
from carveout.claims.statements import Page, Statement
from carveout.tables.claims_tables import CLAIMS, CONFIRMED, CONTRADICTED, NOT_TESTED

_DOSE = "dose_target"


@dataclass(frozen=True)
class Verdict:
    """What the tables say to one check.

    Attributes:
        verdict: one of the table's.
        why_not_tested: None where it was tested.
        rows: of which it can be told.
        rows_held: those of them in which what has to hold does.
        numbers: what was found; None where nothing was.
    """

    verdict: str
    why_not_tested: str | None
    rows: int
    rows_held: int
    numbers: str | None


def judge_pages(pages: Iterable[Page], evidence: Evidence) -> pd.DataFrame:
    """Return the table `claims`: one row for each statement."""
    rows = [
        _row(statement, judge_statement(statement, evidence))
        for page in pages
        for statement in page.statements
    ]
    return pd.DataFrame(rows, columns=list(CLAIMS.columns))


def _row(statement: Statement, verdict: Verdict) -> dict[str, object]:
    return {
        "page": statement.page,
        "number": statement.number,
        "strategy": statement.strategy,
        "says": statement.says,
        "source": statement.source,
        "verdict": verdict.verdict,
        "why_not_tested": verdict.why_not_tested,
        "rows": verdict.rows,
        "rows_held": verdict.rows_held,
        "numbers": verdict.numbers,
    }


def judge_statement(statement: Statement, evidence: Evidence) -> Verdict:
    """Return what the tables say to a statement."""
    if statement.check is None:
        return Verdict(NOT_TESTED, statement.untestable, 0, 0, None)
    return judge(statement.check, tell(statement.check, evidence, statement.strategy))


def judge(check: Check, told: Told) -> Verdict:
    """Return the verdict on what a check was told."""
    if told.why_none is not None:
        return Verdict(NOT_TESTED, told.why_none, 0, 0, None)
    rows = told.rows[told.rows[HELD].notna()]
    held = rows[HELD].astype(bool)
    confirmed = is_fulfilled(check, rows)
    if check.of == ANY and not confirmed:  # nothing speaks against what may happen
        never = f"never seen, in {len(rows)} rows: {numbers.found(rows, check.shows)}"
        return Verdict(NOT_TESTED, never, 0, 0, None)
    return Verdict(
        verdict=CONFIRMED if confirmed else CONTRADICTED,
        why_not_tested=None,
        rows=len(rows),
        rows_held=int(held.sum()),
        numbers=_numbers(check, rows, held, confirmed),
    )


def is_fulfilled(check: Check, rows: pd.DataFrame) -> bool:
    """Return whether what has to hold does in as many rows as it has to; all of them are told."""
    held = rows[HELD].astype(bool)
    match check.of:
        case "all":
            return bool(held.all())
        case "any":
            return bool(held.any())
        case "none":
            return not held.any()
    return bool(held.mean() >= float(check.of))


def counterexamples(check: Check, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that speak against a check that is not fulfilled, the worst first.

    That is the one that misses by most what has to hold; of those alike, the one at the least dose.
    All rows are told.
    """
    held = rows[HELD].astype(bool)
    if check.of == NONE:
        return rows[held]
    against = rows[~held]
    misses = {place: -miss for place, miss in enumerate(check.holds.misses(against))}
    ranks = pd.DataFrame(misses, index=against.index)
    if _DOSE in against:
        ranks[_DOSE] = against[_DOSE]
    if ranks.empty:
        return against
    order = ranks.reset_index(drop=True).sort_values([*ranks], kind="stable").index
    return against.iloc[order]


def _numbers(check: Check, rows: pd.DataFrame, held: "pd.Series[bool]", confirmed: bool) -> str:
    if confirmed:
        meant = rows[held] if check.of not in (ALL, NONE) else rows
        return numbers.found(meant, check.shows)
    against = counterexamples(check, rows)
    first = against.iloc[0]
    return (
        f"not in {len(against)} of {len(rows)} rows, at worst {numbers.place_of(rows, first)}: "
        f"{numbers.found(against.iloc[:1], check.shows)}"
    )
