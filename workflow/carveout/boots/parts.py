# SPDX-License-Identifier: GPL-2.0-only
"""How long a cell takes, and the parts that are jobs of their own where one would take too long.

A trial does not depend on which job makes it: whatever the parts, the trials are the same.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from carveout.common.sizes import GIB
from carveout.study.cell import Cell, Point

# Wall time of one core: about the means of the table `runs` of the main job, of config/large.yaml
# and of config/review.yaml on the machine that the README names ("What it costs").
_BOOT_S = 5
_CYCLE_S_PER_GIB = 4
_CENSUS_S_PER_GIB = 0.15

# What a job asks of a queue: a machine may be slower than that one, and a trial of a heavy load
# takes longer than the mean. Reading the workflow and starting Python is in it.
_TIMES_SLOWER = 4
_LEAST_MINUTES = 10


def work_s(cell: Cell, trials: int, *, boots_each: bool) -> float:
    """Return about how long some trials of a cell take one core, in seconds of wall time.

    Args:
        cell: of which they are.
        trials: how many.
        boots_each: whether every trial boots, or is a fork; hosts that are only counted all boot.
    """
    ram_gib = cell.ram_bytes / GIB
    cycles_s = _CYCLE_S_PER_GIB * len(cell.requests_bytes) * ram_gib
    trial_s = cycles_s if cell.lends else _CENSUS_S_PER_GIB * ram_gib
    boots = trials if boots_each or not cell.lends else min(cell.layouts, cell.seeds, trials)
    return _BOOT_S * boots + trials * trial_s


def job_minutes(cell: Cell, trials: int, attempt: int, *, boots_each: bool) -> int:
    """Return the time that a job asks of a queue, in minutes: more with each attempt, from 1."""
    minutes = math.ceil(_TIMES_SLOWER * work_s(cell, trials, boots_each=boots_each) / 60)
    return attempt * (_LEAST_MINUTES + minutes)


@dataclass(frozen=True)
class Part:
    """One of the jobs that a cell's trials are spread over; its text is ``3-of-8``."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}-of-{self.of}"

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Return the part of which `str` gives the text."""
        number, of = text.split("-of-")
        return cls(int(number), int(of))

    def points_of(self, cell: Cell) -> frozenset[Point]:
        """Return the points of a cell whose trials this part makes."""
        groups = _groups(cell)
        first, end = (len(groups) * number // self.of for number in (self.number - 1, self.number))
        return frozenset(point for group in groups[first:end] for point in group)

    def layouts_of(self, cell: Cell) -> int:
        """Return how many hosts of a cell this part boots."""
        return len({cell.layout_of(point.seed) for point in self.points_of(cell)})


def parts_of(cell: Cell, job_s: float, *, boots_each: bool) -> list[Part]:
    """Return the parts of a cell, each of about ``job_s`` seconds; none where one job does.

    A ladder's further doses are of no part: the job that puts the cell together makes them, and
    whatever else is missing.
    """
    if not cell.is_available:
        return []
    wanted = math.ceil(work_s(cell, cell.planned_trials(), boots_each=boots_each) / job_s)
    count = min(wanted, len(_groups(cell)))
    return [Part(number, count) for number in range(1, count + 1)] if count > 1 else []


def _groups(cell: Cell) -> list[list[Point]]:
    """Return the points of a cell, as far as they are known, in groups that stay together.

    Seeds that may end early are read in their order, so a dose is one group. Otherwise a seed is,
    and seeds of one host stand together: a part boots no more hosts than it must.
    """
    points = cell.planned_points()
    if cell.replication:
        return [list(of) for _, of in groupby(points, lambda point: point.dose_permille)]
    points.sort(key=lambda point: (cell.layout_of(point.seed), point.seed))
    return [list(of) for _, of in groupby(points, lambda point: point.seed)]


def batches(cells: Iterable[Cell], job_s: float, *, boots_each: bool) -> Sequence[Sequence[Cell]]:
    """Return cells in their order, as many to a batch as take about ``job_s`` seconds together."""
    found: list[list[Cell]] = []
    left_s = 0.0
    for cell in cells:
        cell_s = work_s(cell, cell.planned_trials(), boots_each=boots_each)
        if cell_s > left_s:
            found.append([])
            left_s = job_s
        found[-1].append(cell)
        left_s -= cell_s
    return found
