# SPDX-License-Identifier: GPL-2.0-only
"""Which doses of a ladder are tried: those at which the answer changes, by the outcomes alone.

A ladder begins with its coarse doses. When all their trials are made, the dose in the middle is
tried too between the two neighbours where the curve turns (`carveout.common.rates.last_with_half`),
and between any two whose mean share granted differs by more than the resolution asked for; and so
on, down to the finest step. What is asked depends on the outcomes alone, and only once all that was
asked before is known, so the doses are the same in whichever order trials end, and repeat as they
do.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from carveout.common.rates import last_with_half


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
                1, without a dose between them, where the curve does not turn.
        """
        self._finest_permille = finest_permille
        self._resolution = resolution

    def between(self, shares: Mapping[int, float]) -> Sequence[int]:
        """Return the doses to try next, in ascending order; none when the ladder is done.

        Args:
            shares: the mean share granted at each dose tried so far, in permille.
        """
        doses = sorted(shares)
        turn = last_with_half([shares[dose] for dose in doses])
        return [
            low + (high - low) // self._finest_permille // 2 * self._finest_permille
            for place, (low, high) in enumerate(pairwise(doses))
            if high - low > self._finest_permille
            and (place == turn or abs(shares[high] - shares[low]) > self._resolution)
        ]
