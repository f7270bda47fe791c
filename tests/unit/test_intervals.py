# SPDX-License-Identifier: GPL-2.0-only
"""Intervals: what publications print, other ways to compute them, and how often they cover.

`pytest -s` prints the simulations' numbers, which docs/statistics.md has.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, bootstrap, norm, ttest_1samp

from carveout.common.rates import wilson_interval
from carveout.statistics.intervals import (
    CONFIDENCE,
    LEAST_FOR_BOOTSTRAP,
    Numbers,
    mean_intervals,
    newcombe_interval,
    quantile_interval,
    quantile_places,
    wilson_intervals,
)

SIMULATIONS = 1500
# Three standard errors of a share of as many simulations, at the nominal rate.
CHANCE = 3 * (CONFIDENCE * (1 - CONFIDENCE) / SIMULATIONS) ** 0.5


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson_interval(successes, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17:873-890, table II, method 10.
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_as_published(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    found = newcombe_interval(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_newcombe_is_the_other_way_round_with_sides_changed() -> None:
    found, changed = newcombe_interval(17, 20, 5, 12), newcombe_interval(5, 12, 17, 20)
    assert (found.low, found.high) == pytest.approx((-changed.high, -changed.low))


@pytest.mark.parametrize("trials", [3, 5, 12, 20])
def test_wilson_covers_at_its_rate_over_all_rates(trials: int) -> None:
    """Every outcome is counted with its probability: nothing is left to chance."""
    ends = wilson_intervals(range(trials + 1), [trials] * (trials + 1))
    rates = np.linspace(0.0005, 0.9995, 1000)[:, np.newaxis]
    covers = (ends["low"].to_numpy() <= rates) & (rates <= ends["high"].to_numpy())
    covered = (binom.pmf(np.arange(trials + 1), trials, rates) * covers).sum(axis=1)
    print(f"Wilson, {trials} trials: covers {covered.mean():.3f}, at worst {covered.min():.3f}")
    assert covered.mean() == pytest.approx(CONFIDENCE, abs=0.015)
    assert covered.min() > 0.82


@pytest.mark.parametrize(("trials", "other_trials"), [(5, 5), (10, 20), (20, 20)])
def test_newcombe_covers_at_its_rate_over_all_rates(trials: int, other_trials: int) -> None:
    counts = [(k, j) for k in range(trials + 1) for j in range(other_trials + 1)]
    ends = np.array([newcombe_interval(k, trials, j, other_trials) for k, j in counts])
    rng = np.random.default_rng(3)
    rates, others = rng.random((2, 1000, 1))
    one, other = np.array(counts).T
    chance = binom.pmf(one, trials, rates) * binom.pmf(other, other_trials, others)
    covers = (ends[:, 0] <= rates - others) & (rates - others <= ends[:, 1])
    covered = (chance * covers).sum(axis=1)
    print(f"Newcombe, {trials} and {other_trials} trials: covers {covered.mean():.3f}")
    assert 0.945 < covered.mean() < 0.975


def binomial_places(count: int, quantile: float) -> tuple[int | None, int | None]:
    """The places by how many of the values lie below a quantile: it is above place k where > k."""
    below = binom.cdf(np.arange(count), count, quantile)
    low, high = (
        np.flatnonzero(below <= (1 - CONFIDENCE) / 2),
        np.flatnonzero(below >= (1 + CONFIDENCE) / 2),
    )
    return (int(low[-1]) if len(low) else None), (int(high[0]) if len(high) else None)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_the_places_of_a_quantile_are_those_of_the_binomial_distribution(quantile: float) -> None:
    for count in (*range(1, 40), 100, 367, 368, 1000):
        assert quantile_places(count, quantile) == binomial_places(count, quantile), count


def test_a_median_wants_six_values_and_a_99th_percentile_368() -> None:
    assert quantile_places(5, 0.5) == (None, None)
    assert quantile_places(6, 0.5) == (0, 5)
    assert quantile_places(367, 0.99)[1] is None
    assert quantile_places(368, 0.99)[1] == 367
    assert quantile_interval(np.arange(5.0), 0.5) == (None, None)
    assert quantile_interval(np.array([6.0, 1, 5, 2, 4, 3]), 0.5) == (1, 6)


@pytest.mark.parametrize("count", [6, 8, 12, 25])
def test_the_intervals_of_medians_cover_and_those_of_a_bootstrap_do_with_many_alone(
    count: int,
) -> None:
    values = np.random.default_rng(5).exponential(size=(SIMULATIONS, count))
    ends = np.array([quantile_interval(row, 0.5) for row in values])
    resampled = bootstrap(
        (values[:400],),
        np.median,
        axis=-1,
        vectorized=True,
        n_resamples=999,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    covered = share_within(ends, np.log(2))
    by_bootstrap = share_within(np.column_stack([resampled.low, resampled.high]), np.log(2))
    print(f"median of {count}: covers {covered:.3f}, by the bootstrap {by_bootstrap:.3f}")
    assert covered > CONFIDENCE - CHANCE
    if count == 6:
        assert by_bootstrap < covered - 0.02


def share_within(ends: Numbers, truth: float) -> float:
    return float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())


def capped(rng: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    """What is granted of 512 MiB where some hosts have all of it and some less."""
    return np.minimum(rng.normal(500, 20, shape), 512)


Draw = Callable[[np.random.Generator, tuple[int, int]], Numbers]
DRAWN: dict[str, tuple[Draw, float, float]] = {
    # How to draw values, their mean, and the least that must be covered.
    "normal": (lambda rng, shape: rng.normal(size=shape), 0, CONFIDENCE - CHANCE),
    "uniform": (lambda rng, shape: rng.random(shape), 0.5, CONFIDENCE - CHANCE),
    # By hand: 500 - 20 (pdf(0.6) - 0.6 sf(0.6)).
    "capped": (capped, 500 - 20 * (norm.pdf(0.6) - 0.6 * norm.sf(0.6)), CONFIDENCE - CHANCE),
    # As skewed as a cost can be: this is where few values tell too little of a mean.
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1, 0.88),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("count", [LEAST_FOR_BOOTSTRAP, 20])
def test_the_intervals_of_means_cover(name: str, count: int) -> None:
    draw, mean, least = DRAWN[name]
    values = draw(np.random.default_rng(4), (SIMULATIONS, count))
    covered = share_within(mean_intervals(values), mean)
    print(f"mean of {count}, {name}: covers {covered:.3f}")
    assert covered > least
    assert covered < CONFIDENCE + CHANCE


def test_a_plain_percentile_bootstrap_would_not_cover() -> None:
    values = np.random.default_rng(4).normal(size=(SIMULATIONS, LEAST_FOR_BOOTSTRAP))
    plain = bootstrap(
        (values,),
        np.mean,
        axis=-1,
        vectorized=True,
        n_resamples=1999,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    covered = share_within(np.column_stack([plain.low, plain.high]), 0)
    print(f"mean of {LEAST_FOR_BOOTSTRAP}, normal, plain percentiles: covers {covered:.3f}")
    assert covered < CONFIDENCE - 2 * CHANCE


def test_the_interval_of_a_mean_is_about_students_where_that_holds() -> None:
    values = np.random.default_rng(7).normal(10, 3, size=(50, 30))
    student = np.array(ttest_1samp(values, 0, axis=1).confidence_interval(CONFIDENCE)).T
    found = mean_intervals(values)
    widths, student_widths = np.ptp(found, axis=1), np.ptp(student, axis=1)
    assert (widths / student_widths).mean() == pytest.approx(1, abs=0.02)


def test_too_few_values_have_no_interval_and_the_same_values_always_the_same() -> None:
    values = np.random.default_rng(7).normal(size=(3, 12))
    assert np.isnan(mean_intervals(values[:, : LEAST_FOR_BOOTSTRAP - 1])).all()
    assert mean_intervals(np.empty((0, 12))).shape == (0, 2)
    found = mean_intervals(values)
    assert (mean_intervals(values[1:2]) == found[1:2]).all(), "of one row as of many"
    assert (mean_intervals(values[::-1]) == found[::-1]).all()
