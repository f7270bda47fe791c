# SPDX-License-Identifier: GPL-2.0-only
"""The trials of one cell: those that are made, those to come, and when there are enough."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from carveout.study.cell import Cell

if TYPE_CHECKING:
    from carveout.boots.replication import AdaptiveRule

Result = Mapping[str, Any]


class CellTrials:
    """The trials of a cell: which are made, which seed is next, and when there are enough.

    Trials may be added in any order; the rule that may stop a cell early reads them in the order
    of their seeds, so that what is kept does not depend on which trial ended first.
    """

    def __init__(self, cell: Cell, made: Iterable[Result]) -> None:
        self._made: dict[int, Result] = {}
        self._read = 0  # seeds 1 to this are made, and the rule has read them
        self._needed = cell.seeds
        self._rule = _adaptive_rule(cell)
        for result in made:
            self.add(result)
        self._unmade = [seed for seed in range(cell.seeds, 0, -1) if seed not in self._made]

    def add(self, result: Result) -> None:
        """Add a trial that was made."""
        self._made[result["trial"]["seed"]] = result
        while not self.are_enough() and self._read + 1 in self._made:
            self._read += 1
            if self._rule and self._rule.is_enough_with(self._made[self._read]["trial"]):
                self._needed = self._read

    def are_enough(self) -> bool:
        """Return whether all trials that count are made."""
        return self._read == self._needed

    def next_seed(self) -> int | None:
        """Return the next seed that nobody has been given; None when there is none to run."""
        return None if self.are_enough() or not self._unmade else self._unmade.pop()

    def in_order(self) -> list[Result]:
        """Return the trials that count: those of the first seeds, as many as are needed."""
        return [self._made[seed] for seed in range(1, self._read + 1)]


def _adaptive_rule(cell: Cell) -> "AdaptiveRule | None":
    if cell.replication is None:
        return None
    # Statistics cost a second of processor time to import: only for cells that need them.
    from carveout.boots.replication import AdaptiveRule  # noqa: PLC0415

    return AdaptiveRule(**cell.replication)
