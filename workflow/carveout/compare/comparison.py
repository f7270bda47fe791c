# SPDX-License-Identifier: GPL-2.0-only
"""Two runs held against each other: all that is known of them, and the verdict."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from carveout.common.errors import CarveoutError
from carveout.compare.differing import (
    Contradictions,
    Coverage,
    cover,
    find_contradictions,
)
from carveout.compare.sides import Side, check_differ, find_partners
from carveout.statistics.pair import find_changes

# Exit statuses; 1 is an error, 2 a command line that cannot be read.
NOTHING_WORSE = 0
WORSE = 3
CONTRADICTION = 4


@dataclass(frozen=True)
class Comparison:
    """Two runs, and what changed from one to the other.

    Attributes:
        partners: kernels that are held against each other, of `before` first.
        changes: the table `changes`.
    """

    before: Side
    after: Side
    partners: Collection[tuple[str, str]]
    changes: pd.DataFrame
    coverage: Coverage
    contradictions: Contradictions

    @property
    def status(self) -> int:
        """The exit status: contradictions count before all else."""
        if self.contradictions.trials:
            return CONTRADICTION
        is_worse = (self.changes["verdict"] == "worse").any() or len(self.coverage.lost)
        return WORSE if is_worse else NOTHING_WORSE

    def count(self, verdict: str) -> int:
        """Return how many rows of the table have a verdict."""
        return int((self.changes["verdict"] == verdict).sum())

    @property
    def verdict(self) -> str:
        """The verdict in one line."""
        parts = []
        if self.contradictions.trials:
            parts.append(f"{self.contradictions.trials} trials contradict each other")
        if lost := len(_variants(self.coverage.lost)):
            parts.append(f"{lost} variant{'s' * (lost > 1)} not available any more")
        if worse := self.count("worse"):
            parts.append(f"{worse} of {len(self.changes)} comparisons got worse")
        if not parts:
            is_equal = self.count("equal") == len(self.changes) - self.count("no_pairs")
            parts.append("nothing changed" if is_equal else "nothing got worse")
        parts += [
            f"{count} {what}"
            for what, count in (
                ("better", self.count("better")),
                ("changed otherwise", self.count("changed")),
                ("cannot be told", self.count("cannot_tell")),
            )
            if count
        ]
        return ", ".join(parts)


def _variants(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["kernel", "strategy", "variant"]].drop_duplicates()


def compare(before: Path, after: Path, wanted: Collection[tuple[str, str]] = ()) -> Comparison:
    """Return what changed from one run to another.

    Args:
        before: a results folder, or a folder of tables.
        after: likewise.
        wanted: which kernels are partners, where their names do not tell.

    Raises:
        CarveoutError: a folder has no tables, or both have nothing in common.
    """
    check_differ(before, after)
    old, new = Side.read("before", before), Side.read("after", after)
    partners = find_partners(old, new, wanted)
    coverage = cover(old, new, partners)
    if not coverage.paired and coverage.lost.empty:
        raise CarveoutError(
            f"wanted lends that differ in nothing but the kernel, found none common to "
            f"before={before} and after={after}: {_why_nothing(coverage)}"
        )
    return Comparison(
        before=old,
        after=new,
        partners=sorted(partners),
        changes=find_changes(old.trials, partners, new.trials),
        coverage=coverage,
        contradictions=find_contradictions(old, new),
    )


def _why_nothing(coverage: Coverage) -> str:
    """Return what the two sides have apart, of each column a few values."""
    apart = [
        f"{name} {_some(old)} against {_some(new)}"
        for name, (old, new) in coverage.alone.items()
        if old and new
    ]
    apart += [f"{name} {old} against {new}" for name, old, new in coverage.set_up_otherwise]
    return "; ".join(apart) or "no two of them agree in strategy, load, dose, request and seed"


def _some(values: list[Any]) -> str:
    texts = [
        " ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values
    ]
    return ", ".join(texts[:3]) + ("..." if len(texts) > 3 else "")
