# SPDX-License-Identifier: GPL-2.0-only
"""The trials of one cell: those that are made, those to come, and when there are enough."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carveout.study.cell import Cell, Point

if TYPE_CHECKING:
    from carveout.boots.replication import AdaptiveRule

Result = Mapping[str, Any]


def point_of(trial: Mapping[str, Any]) -> Point:
    """Return the point that a trial, as the runner writes it, is of."""
    return Point(trial["dose_permille"], trial["seed"])


class CellTrials:
    """The trials of a cell: which are made, which point is next, and when there are enough.

    Trials may be added in any order. The rule that may stop a dose early reads them in the order
    of their seeds, so that what is kept does not depend on which trial ended first.
    """

    def __init__(self, cell: Cell, made: Iterable[Result]) -> None:
        self._made: dict[Point, Result] = {}
        self._doses = [_DoseTrials(cell, dose) for dose in sorted(cell.doses_permille)]
        for result in made:
            self.add(result)
        self._unmade = [point for point in cell.points() if point not in self._made]

    def add(self, result: Result) -> None:
        """Add a trial that was made."""
        point = point_of(result["trial"])
        self._made[point] = result
        for dose in self._doses:
            if dose.dose_permille == point.dose_permille:
                dose.read(self._made)

    def are_enough(self) -> bool:
        """Return whether all trials that count are made."""
        return all(dose.are_enough() for dose in self._doses)

    def next_point(self) -> Point | None:
        """Return the next point that nobody has been given; None when there is none to run."""
        enough = {dose.dose_permille for dose in self._doses if dose.are_enough()}
        self._unmade = [point for point in self._unmade if point.dose_permille not in enough]
        return self._unmade.pop(0) if self._unmade else None

    def in_order(self) -> list[Result]:
        """Return the trials that count: of each dose those of the first seeds that are needed."""
        return [self._made[point] for dose in self._doses for point in dose.counting()]


class _DoseTrials:
    """How many seeds of one dose are needed, as far as its trials are made."""

    def __init__(self, cell: Cell, dose_permille: int) -> None:
        self.dose_permille = dose_permille
        self._seeds_read = 0
        self._seeds_needed = cell.seeds
        self._rule = _adaptive_rule(cell)

    def read(self, made: Mapping[Point, Result]) -> None:
        """Read, in the order of the seeds, what was made since."""
        while not self.are_enough():
            result = made.get(Point(self.dose_permille, self._seeds_read + 1))
            if result is None:
                return
            self._seeds_read += 1
            if self._rule and self._rule.is_enough_with(result["trial"]):
                self._seeds_needed = self._seeds_read

    def are_enough(self) -> bool:
        return self._seeds_read == self._seeds_needed

    def counting(self) -> Sequence[Point]:
        return [Point(self.dose_permille, seed) for seed in range(1, self._seeds_read + 1)]


def _adaptive_rule(cell: Cell) -> "AdaptiveRule | None":
    if cell.replication is None:
        return None
    # Statistics cost a second of processor time to import: only for cells that need them.
    from carveout.boots.replication import AdaptiveRule  # noqa: PLC0415

    return AdaptiveRule(**cell.replication)
