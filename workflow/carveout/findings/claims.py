# SPDX-License-Identifier: GPL-2.0-only
"""What the literature says, held against what was found: confirmed, contradicted, not tested."""

from dataclasses import dataclass

import pandas as pd

from carveout.wording.marks import Name, Part, Words, joined, listed, tally, words
from carveout.wording.rows import Row, rows_of

_VERDICTS = {
    "confirmed": "confirmed",
    "contradicted": "contradicted",
    "not_tested": "not tested here",
}


@dataclass(frozen=True)
class Claim:
    """One statement, and what became of it.

    Attributes:
        says: the statement.
        source: whose word it is.
        verdict: its name in the table.
        told: the verdict in words, with how many rows held it.
        numbers: what was found, or why nothing was.
    """

    says: Name
    source: Name
    verdict: str
    told: Words
    numbers: Part


def claims_of(claims: pd.DataFrame, page: str) -> list[Claim]:
    """Return the statements of a page, in its order."""
    return [_claim(row) for row in rows_of("claims", claims[claims["page"] == page])]


def counts(claims: pd.DataFrame, page: str) -> Words:
    """Return how many statements of a page there are of each verdict."""
    found = [
        words("{} {}", tally("claims", claims, where={"page": page, "verdict": verdict}), told)
        for verdict, told in _VERDICTS.items()
    ]
    return listed(found)


def _claim(row: Row) -> Claim:
    verdict = str(row["verdict"])
    held = words("in {} rows", row.of("rows_held", "rows"))
    numbers = row.name("why_not_tested") if verdict == "not_tested" else row.name("numbers")
    return Claim(
        says=Name(str(row["says"])),
        source=Name(str(row["source"]) if row.knows("source") else ""),
        verdict=verdict,
        told=joined([_VERDICTS[verdict], held if row.more_than_nothing("rows") else ""], " "),
        numbers=numbers,
    )
