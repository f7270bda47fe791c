# SPDX-License-Identifier: GPL-2.0-only
"""95 % intervals: of rates and their difference, of quantiles, of means over seeds.

Each by a method that keeps its level with as few trials as it is offered for: docs/statistics.md
has the simulations.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import bootstrap, norm, quantile_test, t

from carveout.common.rates import Interval, wilson_interval

CONFIDENCE = 0.95
# With fewer a bootstrap's interval of a mean is too narrow, however it is widened.
LEAST_FOR_BOOTSTRAP = 10

# Tables repeat to the bit: the resamples of as many seeds are always the same.
_RESAMPLING_SEED = 1998
_RESAMPLES = 9999
# Resamples are held in memory by so many numbers at once.
_BATCH_NUMBERS = 2_000_000

Numbers = npt.NDArray[np.float64]


def units_of(layouts: "pd.Series[int]", seeds: "pd.Series[int]") -> "pd.Series[int]":
    """Return what each trial counts as: its host where there are several, else its seed.

    Trials of one host find the same pages of its boot in their way, whatever their seeds.
    """
    return (-layouts).where(layouts > 0, seeds)


def wilson_intervals(rates: Numbers, counts: Numbers) -> Numbers:
    """Return the Wilson score interval of each rate of so many trials, as columns low and high.

    Wilson 1927 (Journal of the American Statistical Association 22:209-212), which scipy has for
    whole numbers of successes alone. NaN of no trials.
    """
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    known = np.where(counts > 0, counts, np.nan)
    middle = (rates + z**2 / (2 * known)) / (1 + z**2 / known)
    reach = z / (1 + z**2 / known) * np.sqrt(rates * (1 - rates) / known + (z / (2 * known)) ** 2)
    return np.column_stack([middle - reach, middle + reach]).clip(0, 1)


def newcombe_interval(
    successes: int, trials: int, other_successes: int, other_trials: int
) -> Interval:
    """Return the interval of a success rate less another, of trials that are not paired.

    Newcombe's hybrid of two Wilson intervals (Newcombe 1998, Statistics in Medicine 17:873-890,
    method 10), which scipy does not have.
    """
    rate, other_rate = successes / trials, other_successes / other_trials
    of_one = wilson_interval(successes, trials)
    of_other = wilson_interval(other_successes, other_trials)
    return Interval(
        rate - other_rate - math.hypot(rate - of_one.low, of_other.high - other_rate),
        rate - other_rate + math.hypot(of_one.high - rate, other_rate - of_other.low),
    )


@cache
def quantile_places(count: int, quantile: float) -> tuple[int | None, int | None]:
    """Return which of `count` values in ascending order bound a quantile, from 0.

    The interval by order statistics (Conover, Practical Nonparametric Statistics, 3rd edition 1999,
    section 3.2, as in scipy's `quantile_test`), exact for whatever distribution. An end that so few
    values cannot bound is None: of the median both are from 6 values on.
    """
    if not count:
        return None, None
    test = quantile_test(np.arange(count, dtype=float), q=0, p=quantile)
    ends = np.asarray(test.confidence_interval(confidence_level=CONFIDENCE))
    low, high = (None if math.isnan(end) else int(end) for end in ends)
    return low, high


def quantile_interval(values: Numbers, quantile: float) -> tuple[float | None, float | None]:
    """Return the exact interval of a quantile, None for an end that so few values cannot bound."""
    ordered = np.sort(values)
    low, high = quantile_places(len(ordered), quantile)
    return (
        None if low is None else float(ordered[low]),
        None if high is None else float(ordered[high]),
    )


def mean_intervals(samples: Numbers) -> Numbers:
    """Return the interval of each row's mean, as columns low and high, by resampling its values.

    The percentile bootstrap (Efron 1979, as in scipy's `bootstrap`) at the `expanded_level`. NaN
    for fewer than `LEAST_FOR_BOOTSTRAP` values a row.
    """
    rows, count = samples.shape
    if not rows or count < LEAST_FOR_BOOTSTRAP:
        return np.full((rows, 2), np.nan)
    result = bootstrap(
        (samples,),
        np.mean,
        axis=-1,
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=batch_of(samples),
        confidence_level=expanded_level(count),
        method="percentile",
        rng=np.random.default_rng(_RESAMPLING_SEED),
    )
    interval = result.confidence_interval
    ends = np.column_stack([np.atleast_1d(interval.low), np.atleast_1d(interval.high)])
    # A row's last digits are not to depend on how many rows there are.
    rounded: Numbers = ends.round(6)
    return rounded


def batch_of(samples: Numbers) -> int:
    """Return how many resamples to hold in memory at once."""
    return max(1, _BATCH_NUMBERS // samples.size)


def expanded_level(count: int) -> float:
    """Return the level at which the percentiles of resampled means are as wide as Student's.

    Hesterberg 2015 (The American Statistician 69:371-386, section 4.6.2): the "expanded percentile
    interval", which of few values, too, covers as often as it says.
    """
    reach = math.sqrt(count / (count - 1)) * t.ppf((1 + CONFIDENCE) / 2, count - 1)
    return float(1 - 2 * norm.sf(reach))
