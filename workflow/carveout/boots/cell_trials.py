# SPDX-License-Identifier: GPL-2.0-only
"""The trials of one cell: those that are made, those to come, and when there are enough."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from carveout.boots.ladder import Ladder, mean_share
from carveout.boots.replication import AdaptiveRule
from carveout.study.cell import Cell, Point

Result = Mapping[str, Any]


def point_of(trial: Mapping[str, Any]) -> Point:
    """Return the point that a trial, as the runner writes it, is of."""
    return Point(trial["dose_permille"], trial["seed"])


class CellTrials:
    """The trials of a cell: which are made, which point is next, and when there are enough.

    Trials may be added in any order. The rule that may stop a dose early reads them in the order
    of their seeds, and the ladder reads whole doses, so that what is kept does not depend on which
    trial ended first.
    """

    def __init__(
        self, cell: Cell, made: Iterable[Result], points: Container[Point] | None = None
    ) -> None:
        """Begin with what is made.

        Args:
            cell: the cell.
            made: results of an earlier run that still hold.
            points: the only ones that are run; None for all.
        """
        self._cell = cell
        self._points = points
        self._made: dict[Point, Result] = {}
        self._ladder = Ladder(**cell.ladder) if cell.ladder else None
        self._doses: dict[int, _DoseTrials] = {}
        for result in made:
            self._made[point_of(result["trial"])] = result
        self._try_doses(cell.doses_permille)
        while self.climb():
            pass

    def add(self, result: Result) -> None:
        """Add a trial that was made."""
        point = point_of(result["trial"])
        self._made[point] = result
        if point.dose_permille in self._doses:
            self._doses[point.dose_permille].read(self._made)

    def climb(self) -> bool:
        """Add the doses that the ladder wants once all doses so far are known.

        Return whether there were any.
        """
        if self._ladder is None or not self.are_enough():
            return False
        shares = {
            dose: mean_share(self._made[Point(dose, seed)]["trial"] for seed in trials.seeds_read())
            for dose, trials in self._doses.items()
        }
        wanted = self._ladder.between(shares)
        self._try_doses(wanted)
        return bool(wanted)

    def are_enough(self) -> bool:
        """Return whether all trials of the doses so far are made."""
        return all(dose.are_enough() for dose in self._doses.values())

    def next_point(self) -> Point | None:
        """Return the next point that nobody has been given; None when there is none to run now."""
        for dose_permille, dose in self._doses.items():
            while (seed := dose.next_seed(self._made)) is not None:
                point = Point(dose_permille, seed)
                if self._points is None or point in self._points:
                    return point
        return None

    def in_order(self) -> list[Result]:
        """Return the trials that count: of each dose those of the first seeds that are needed."""
        return [
            self._made[Point(dose_permille, seed)]
            for dose_permille in sorted(self._doses)
            for seed in self._doses[dose_permille].seeds_read()
        ]

    def _try_doses(self, doses_permille: Iterable[int]) -> None:
        for dose_permille in doses_permille:
            self._doses[dose_permille] = _DoseTrials(self._cell, dose_permille)
            self._doses[dose_permille].read(self._made)


class _DoseTrials:
    """How many seeds of one dose are needed, as far as its trials are made."""

    def __init__(self, cell: Cell, dose_permille: int) -> None:
        self._dose_permille = dose_permille
        self._seeds = cell.seed_numbers
        self._not_given = iter(self._seeds)
        self._read = 0
        self._needed = cell.seeds
        self._rule = _adaptive_rule(cell)

    def read(self, made: Mapping[Point, Result]) -> None:
        """Read, in the order of the seeds, what was made since."""
        while not self.are_enough():
            result = made.get(Point(self._dose_permille, self._seeds[self._read]))
            if result is None:
                return
            self._read += 1
            if self._rule and self._rule.is_enough_with(result["trial"]):
                self._needed = self._read

    def next_seed(self, made: Mapping[Point, Result]) -> int | None:
        """Return the next seed that is needed and that nobody has been given, or None."""
        if self.are_enough():
            return None
        unmade = (seed for seed in self._not_given if Point(self._dose_permille, seed) not in made)
        return next(unmade, None)

    def are_enough(self) -> bool:
        return self._read == self._needed

    def seeds_read(self) -> Sequence[int]:
        """Return the seeds whose trials are read, in their order."""
        return self._seeds[: self._read]


def _adaptive_rule(cell: Cell) -> AdaptiveRule | None:
    if cell.replication is None:
        return None
    return AdaptiveRule(**cell.replication)
