# SPDX-License-Identifier: GPL-2.0-only
"""What statistics say of trials and boots go by: how well a rate is known, where curves turn."""

from collections.abc import Sequence
from typing import NamedTuple


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
    # It takes a second to import, which every job of boots would wait for.
    from scipy.stats import binomtest  # noqa: PLC0415

    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return Interval(float(interval.low), float(interval.high))


def last_with_half(granted: Sequence[float]) -> int | None:
    """Return the place after which a curve turns: the last with at least half of its most.

    Args:
        granted: what was granted at each dose, in ascending order of doses.

    Returns:
        A place in `granted`; None where nothing was granted at any dose.
    """
    most = max(granted)
    if not most:
        return None
    return max(place for place, here in enumerate(granted) if here >= most / 2)
