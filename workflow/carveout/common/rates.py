# SPDX-License-Identifier: GPL-2.0-only
"""Success rates and how well they are known: for the statistics, and for boots that end early."""

from typing import NamedTuple

from scipy.stats import binomtest


class Interval(NamedTuple):
    """An interval of a rate: shares of 1."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """The width of the interval: the smaller it is, the better the rate is known."""
        return self.high - self.low


def wilson_interval(successes: int, trials: int) -> Interval:
    """Return the 95 % Wilson score interval of a success rate (Wilson 1927, as in scipy)."""
    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return Interval(float(interval.low), float(interval.high))
