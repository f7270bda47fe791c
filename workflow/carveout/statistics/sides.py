# SPDX-License-Identifier: GPL-2.0-only
"""One side of a comparison: one quantity of a variant's trials on a curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carveout.statistics.intervals import Numbers


@dataclass(frozen=True)
class Side:
    """One quantity of a variant's trials on a curve, null where a trial does not have it.

    Attributes:
        doses: of each trial, in percent.
        seeds: of each trial.
        units: what is counted: of each trial its host, or its seed where there is but one.
        values: of each trial.
    """

    doses: Numbers
    seeds: Numbers
    units: Numbers
    values: Numbers

    def where(self, wanted: npt.NDArray[np.bool_]) -> "Side":
        """Return some of the trials."""
        return Side(*(of[wanted] for of in (self.doses, self.seeds, self.units, self.values)))

    def known(self) -> "Side":
        """Return the trials that have the quantity."""
        return self.where(~np.isnan(self.values))

    def filled(self) -> "Side":
        """Return the side with values on the lines between each seed's known doses, too."""
        values = self.values.copy()
        for of_seed in self._of_seeds():
            doses, own = self.doses[of_seed], values[of_seed]
            known = ~np.isnan(own)
            if known.any():
                lines = np.interp(doses, doses[known], own[known], left=np.nan, right=np.nan)
                values[of_seed] = np.where(known, own, lines)
        return Side(self.doses, self.seeds, self.units, values)

    def by_unit(self) -> Numbers:
        """Return the mean of each unit's trials: of each seed over its doses."""
        return self._mean_by_unit(np.ones(len(self.values)))

    def areas_by_unit(self) -> Numbers:
        """Return the mean of each unit's curves over their doses, by the trapezoidal rule."""
        weights = np.ones(len(self.values))
        for of_seed in self._of_seeds():
            doses = self.doses[of_seed]
            if len(doses) > 1:
                order = np.argsort(doses)
                # Half of the way to the doses beside it: a mean of areas under lines.
                halves = np.diff(doses[order]) / 2
                weights[of_seed[order]] = (np.append(halves, 0) + np.append(0, halves)) / np.ptp(
                    doses
                )
        return self._mean_by_unit(weights)

    def of_doses(self) -> list[Numbers]:
        """Return the values of each dose, in the order of doses."""
        return [self.values[self.doses == dose] for dose in np.unique(self.doses)]

    def _of_seeds(self) -> list[npt.NDArray[np.intp]]:
        """Return the places of each seed's trials."""
        return [np.flatnonzero(self.seeds == seed) for seed in np.unique(self.seeds)]

    def _mean_by_unit(self, weights: Numbers) -> Numbers:
        _, units = np.unique(self.units, return_inverse=True)
        sums = np.bincount(units, self.values * weights)
        means: Numbers = sums / np.bincount(units, weights)
        return means


def of_common_doses(sides: Sequence[Side]) -> list[Side]:
    """Return the trials that have the quantity, of doses at which both sides have any."""
    known = [side.known() for side in sides]
    common = np.intersect1d(known[0].doses, known[1].doses)
    return [side.where(np.isin(side.doses, common)) for side in known]
