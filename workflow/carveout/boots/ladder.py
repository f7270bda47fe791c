# SPDX-License-Identifier: GPL-2.0-only
"""Which doses of a ladder are tried: those at which the answer changes, by the outcomes alone.

A ladder begins with its coarse doses. Wherever two neighbours differ in the mean of what was
granted, by more than the resolution asked for, the dose in the middle between them is tried too,
down to the finest step. What is asked between two doses depends on these two alone, so the doses
are the same in whichever order trials end, and repeat as the trials do.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any


def granted_share(trial: Mapping[str, Any]) -> float:
    """Return how much of all that a trial asked for was granted, a share of 1.

    A host that died grants nothing from there on.
    """
    asked_bytes: int = sum(trial["cell"]["requests_bytes"])
    lends = (record for record in trial["records"] if record["record"] == "lend")
    granted_bytes: int = sum(min(r["granted_bytes"], r["request_bytes"]) for r in lends)
    return granted_bytes / asked_bytes


def mean_share(trials: Iterable[Mapping[str, Any]]) -> float:
    """Return the mean of `granted_share` over the trials of a dose."""
    return fmean(granted_share(trial) for trial in trials)


class Ladder:
    """Says which doses are to be tried next."""

    def __init__(self, finest_permille: int, resolution: float) -> None:
        """Set the rule.

        Args:
            finest_permille: the least distance of two doses; coarse ones are multiples of it apart.
            resolution: by how much of all that is asked for two neighbours may differ, a share of
                1, without a dose between them.
        """
        self._finest_permille = finest_permille
        self._resolution = resolution

    def between(self, shares: Mapping[int, float]) -> Sequence[int]:
        """Return the doses to try next, in ascending order; none when the ladder is done.

        Args:
            shares: the mean share granted at each dose tried so far, in permille.
        """
        return [
            low + (high - low) // self._finest_permille // 2 * self._finest_permille
            for low, high in pairwise(sorted(shares))
            if high - low > self._finest_permille
            and abs(shares[high] - shares[low]) > self._resolution
        ]
