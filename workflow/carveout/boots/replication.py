# SPDX-License-Identifier: GPL-2.0-only
"""How many seeds a dose needs: all that the config asks for, or fewer once enough is known.

The adaptive rule reads the seeds of a cell's dose in their order, however they were run: it stops
after the first at which the 95 % Wilson interval of every request's success rate is no wider than
asked. So the number of seeds is as repeatable as the trials are.
"""

from collections.abc import Mapping
from typing import Any

from carveout.common.rates import wilson_interval
from carveout.records.outcomes import request_outcomes


class AdaptiveRule:
    """Reads a dose's trials in the order of their seeds and says when there are enough."""

    def __init__(self, interval_width: float, least_seeds: int) -> None:
        """Set the rule.

        Args:
            interval_width: the widest 95 % Wilson interval that is narrow enough, a share of 1.
            least_seeds: seeds that are run whatever they show.
        """
        self._interval_width = interval_width
        self._least_seeds = least_seeds
        self._seeds = 0
        self._successes: list[int] = []

    def is_enough_with(self, trial: Mapping[str, Any]) -> bool:
        """Take the trial of the next seed; return whether no further seed is needed."""
        successes = successes_of(trial)
        self._seeds += 1
        self._successes = [
            count + ok
            for count, ok in zip(self._successes or [0] * len(successes), successes, strict=True)
        ]
        return self._seeds >= self._least_seeds and all(
            wilson_interval(count, self._seeds).width <= self._interval_width
            for count in self._successes
        )


def successes_of(trial: Mapping[str, Any]) -> list[bool]:
    """Return whether each request was granted in full and verified, as the tables count it."""
    return [outcome.is_success for outcome in request_outcomes(trial)]
