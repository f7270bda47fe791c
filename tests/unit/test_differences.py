# SPDX-License-Identifier: GPL-2.0-only
"""Tests of differences: what publications print, other ways to compute them, and their level.

`pytest -s` prints the simulations' numbers, which docs/statistics.md has.
"""

import math

import numpy as np
import pytest
from scipy.stats import (
    binom,
    brunnermunzel,
    fisher_exact,
    mannwhitneyu,
    ttest_1samp,
)

from carveout.statistics import differences
from carveout.statistics.differences import (
    LEAST_FOR_BRUNNER_MUNZEL,
    LEVEL,
    boschloo_p_value,
    brunner_munzel_p_value,
    cliffs_delta,
    holm,
    mcnemar_p_value,
    seeds_to_be_significant,
    seeds_to_see,
    sign_flip_p_values,
)
from carveout.statistics.intervals import Numbers

SIMULATIONS = 2000
# Three standard errors of a share of as many simulations, at the level.
CHANCE = 3 * (LEVEL * (1 - LEVEL) / SIMULATIONS) ** 0.5

# Darwin's differences of 15 pairs of plants, in eighths of an inch (Fisher 1935, The Design of
# Experiments, section 17), of which the 2^15 signs give p = 0.05267 (section 21).
DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
# Pain scores of two treatments (Brunner and Munzel 2000, table 1; in the manuals of lawstat in R
# and of scipy, with the statistic 3.1375 and p = 0.005786).
PAIN = (1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1)
PAIN_OF_OTHERS = (3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4)


def rejected(p_values: Numbers) -> float:
    return float((p_values < LEVEL).mean())


def by_all_signs(values: Numbers) -> float:
    """Fisher's test of pairs by its definition: each sign of each difference, one by one."""
    size = abs(values.sum())
    numbers = np.arange(2 ** len(values))[:, np.newaxis]
    signs = 1 - 2 * (numbers >> np.arange(len(values)) & 1)
    return float((abs(signs @ values) >= size - 1e-9).mean())


def test_all_signs_of_darwins_plants() -> None:
    values = np.array(DARWIN, float)
    assert by_all_signs(values) == pytest.approx(0.05267, abs=5e-6)
    # Of 15 pairs some signs are drawn by chance: within three standard errors.
    found = sign_flip_p_values(values[np.newaxis])[0]
    assert found == pytest.approx(0.05267, abs=3 * (0.0527 * 0.9473 / 9999) ** 0.5 * 2)


@pytest.mark.parametrize("count", [2, 3, 7, 12, 13])
def test_sign_flips_are_exact_with_few_seeds(count: int) -> None:
    values = np.random.default_rng(count).normal(0.5, size=(4, count)).round(1)
    wanted = [by_all_signs(row) for row in values]
    assert sign_flip_p_values(values) == pytest.approx(wanted)


def test_the_least_p_value_is_that_of_seeds_that_agree() -> None:
    for count in (2, 6, 12):
        assert sign_flip_p_values(np.full((1, count), 7.0)) == pytest.approx([2.0 ** (1 - count)])
    assert sign_flip_p_values(np.array([[3.0], [0.0]])) == pytest.approx([1, 1])
    assert sign_flip_p_values(np.empty((0, 4))).shape == (0,)


def test_sign_flips_of_single_successes_are_mcnemars() -> None:
    rng = np.random.default_rng(2)
    for count in (5, 9, 12):
        values = rng.choice([-1.0, 0, 1], size=count, p=[0.1, 0.4, 0.5])
        wanted = mcnemar_p_value(int((values > 0).sum()), int((values < 0).sum()))
        assert sign_flip_p_values(values[np.newaxis])[0] == pytest.approx(wanted)


def test_mcnemar_is_the_sign_test() -> None:
    # Of 12 pairs that differ 10 to one side: 2 (1 + 12 + 66) / 2^12. With many, McNemar's own chi
    # squared, corrected for continuity, is near.
    assert mcnemar_p_value(10, 2) == pytest.approx(158 / 4096)
    assert mcnemar_p_value(0, 0) == 1
    assert mcnemar_p_value(4, 4) == 1
    chi_squared = (abs(121 - 59) - 1) ** 2 / 180
    by_chi_squared = math.erfc((chi_squared / 2) ** 0.5)
    assert mcnemar_p_value(121, 59) == pytest.approx(by_chi_squared, rel=0.2)


def test_boschloo_as_published_and_never_above_fisher() -> None:
    # Of satisfaction with work, in scipy's manual: 0.0355 to one side.
    assert boschloo_p_value(74, 117, 31, 63) == pytest.approx(2 * 0.0355, abs=2e-4)
    for counts in ((7, 8, 1, 8), (3, 3, 0, 3), (5, 12, 1, 9)):
        one, all_of_one, other, all_of_other = counts
        table = [[one, other], [all_of_one - one, all_of_other - other]]
        least = min(fisher_exact(np.array(table), side).pvalue for side in ("less", "greater"))
        assert boschloo_p_value(*counts) <= min(1, 2 * least) + 1e-9
    assert boschloo_p_value(5, 5, 3, 3) == boschloo_p_value(0, 5, 0, 3) == 1


def test_brunner_munzel_of_the_pain_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = np.array(PAIN, float), np.array(PAIN_OF_OTHERS, float)
    assert brunner_munzel_p_value(one, other) is None, "too few to keep the level"
    monkeypatch.setattr(differences, "LEAST_FOR_BRUNNER_MUNZEL", 11)
    assert brunner_munzel_p_value(one, other) == pytest.approx(0.005786, abs=5e-7)
    # The estimate in lawstat's manual, of the chance that one of the others is larger.
    assert (1 + cliffs_delta(other, one)) / 2 == pytest.approx(0.788961, abs=5e-7)


def test_brunner_munzel_of_sides_that_do_not_touch() -> None:
    one, other = np.arange(20.0), np.arange(30.0, 50)
    assert brunner_munzel_p_value(one, other) == pytest.approx(2 / math.comb(40, 20))
    assert brunner_munzel_p_value(other, one) == brunner_munzel_p_value(one, other)


def test_brunner_munzel_of_nothing_but_ties() -> None:
    assert brunner_munzel_p_value(np.zeros(20), np.zeros(25)) == 1


def test_cliffs_delta_by_hand_and_by_mann_and_whitneys_u() -> None:
    # Of 9 comparisons 6 are above, 2 below and one is even.
    assert cliffs_delta(np.array([2.0, 4, 6]), np.array([1.0, 3, 4.0])) == pytest.approx(
        (6 - 2) / 9
    )
    one, other = np.random.default_rng(1).poisson(5, (2, 40)).astype(float)
    u = mannwhitneyu(one, other).statistic
    assert cliffs_delta(one, other) == pytest.approx(2 * u / 1600 - 1)
    assert cliffs_delta(one + 100, other) == 1
    assert cliffs_delta(one, other) == -cliffs_delta(other, one)


def test_holm_as_in_the_textbooks_and_as_step_by_step() -> None:
    # The example of many textbooks: of four hypotheses the fourth and the first are rejected.
    p_values = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p_values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.3, 0.9, 0.4])) == pytest.approx([0.9, 0.9, 0.9])
    p_values = np.sort(np.random.default_rng(4).random(40) ** 4)
    # Step by step: the smallest that is left against the level over how many are left.
    for level in (0.01, 0.05, 0.3):
        rejects = 0
        for p_value in p_values:
            if p_value > level / (len(p_values) - rejects):
                break
            rejects += 1
        assert (holm(p_values) <= level).sum() == rejects
    assert holm(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("tests", [1, 2, 20, 78, 80, 81])
def test_so_many_seeds_that_agree_are_significant_and_one_less_is_not(tests: int) -> None:
    seeds = seeds_to_be_significant(tests)
    for count, is_significant in ((seeds, True), (seeds - 1, False)):
        p_values = np.ones(tests)
        p_values[0] = mcnemar_p_value(count, 0)
        assert bool(holm(p_values)[0] < LEVEL) == is_significant, count


def test_seeds_needed_are_those_of_a_power_analysis() -> None:
    # G*Power 3.1, t test of pairs, two-sided, level 0.05, power 0.8: 34, 15 and 199.
    assert [seeds_to_see(1, 1 / effect, 1) for effect in (0.5, 0.8, 0.2)] == [34, 15, 199]
    assert seeds_to_see(5, 0, 1) == seeds_to_be_significant(1) == 6
    seeds = seeds_to_see(1, 1.5, 1)
    drawn = np.random.default_rng(8).normal(1, 1.5, (SIMULATIONS, seeds))
    assert rejected(np.asarray(ttest_1samp(drawn, 0, axis=1).pvalue)) == pytest.approx(
        0.8, abs=0.04
    )


def clustered(rng: np.random.Generator, seeds: int, doses: int) -> Numbers:
    """Differences without an effect: most of each is of its seed, whatever the dose."""
    of_seeds = rng.laplace(size=(SIMULATIONS, seeds, 1))
    return of_seeds + 0.3 * rng.normal(size=(SIMULATIONS, seeds, doses))


@pytest.mark.parametrize("seeds", [3, 6, 8, 12])
def test_sign_flips_keep_their_level_with_clustered_trials(seeds: int) -> None:
    drawn = clustered(np.random.default_rng(seeds), seeds, 4)
    found = rejected(sign_flip_p_values(drawn.mean(axis=2)))
    print(f"sign flips of {seeds} seeds at 4 doses: {found:.3f} rejected")
    assert found < LEVEL + CHANCE
    assert (found > 0) == (seeds >= 6)


def test_trials_taken_for_independent_would_not_keep_it() -> None:
    drawn = clustered(np.random.default_rng(6), 6, 2)
    found = rejected(sign_flip_p_values(drawn.reshape(SIMULATIONS, 12)))
    print(f"the same of 12 trials of 6 seeds, taken for independent: {found:.3f} rejected")
    assert found > 2 * LEVEL


@pytest.mark.parametrize("name", ["normal", "of other spread", "exponential", "tied"])
def test_brunner_munzel_keeps_its_level_from_there_on(name: str) -> None:
    rng = np.random.default_rng(11)
    one, other = rng.normal(size=(2, SIMULATIONS, LEAST_FOR_BRUNNER_MUNZEL))
    if name == "of other spread":
        other *= 4
    elif name == "exponential":
        one, other = rng.exponential(size=(2, *one.shape))
    elif name == "tied":
        one, other = one.round(), other.round()
    found = rejected(brunnermunzel(one, other, axis=1).pvalue)
    print(f"Brunner-Munzel, {LEAST_FOR_BRUNNER_MUNZEL} seeds a side, {name}: {found:.3f} rejected")
    assert found < LEVEL + CHANCE


def test_with_few_seeds_brunner_munzel_finds_too_much() -> None:
    one, other = np.random.default_rng(11).normal(size=(2, SIMULATIONS, 5))
    touch = (one.min(axis=1) < other.max(axis=1)) & (other.min(axis=1) < one.max(axis=1))
    found = rejected(brunnermunzel(one[touch], other[touch], axis=1).pvalue)
    print(f"Brunner-Munzel, 5 seeds a side, normal: {found:.3f} rejected")
    assert found > LEVEL + CHANCE


@pytest.mark.parametrize("trials", [4, 7])
def test_boschloo_keeps_its_level_at_every_rate(trials: int) -> None:
    """Every outcome is counted with its probability: nothing is left to chance."""
    counts = range(trials + 1)
    rejects = np.array(
        [[boschloo_p_value(k, trials, j, trials) < LEVEL for j in counts] for k in counts]
    )
    rates = np.linspace(0.005, 0.995, 199)
    chance = binom.pmf(np.arange(trials + 1), trials, rates[:, np.newaxis])
    level = np.einsum("ri,rj,ij->r", chance, chance, rejects)
    print(f"Boschloo, {trials} trials a side: at most {level.max():.3f} rejected")
    assert level.max() <= LEVEL + 1e-4


def test_mcnemar_keeps_its_level() -> None:
    for pairs in range(1, 30):
        rejects = [mcnemar_p_value(up, pairs - up) < LEVEL for up in range(pairs + 1)]
        assert binom.pmf(np.arange(pairs + 1), pairs, 0.5)[rejects].sum() <= LEVEL


def test_holm_keeps_the_level_of_all_together() -> None:
    """Half of 20 hypotheses are true; to reject any of these is the error."""
    rng = np.random.default_rng(12)
    shifts = np.repeat([0.0, 1.0], 10)[:, np.newaxis]
    drawn = rng.normal(size=(1000, 20, 14)) + shifts
    p_values = np.asarray(ttest_1samp(drawn, 0, axis=2).pvalue)
    errors = np.mean([(holm(row)[:10] < LEVEL).any() for row in p_values])
    print(f"Holm, 20 tests of which 10 are of nothing: {errors:.3f} with an error")
    assert errors < LEVEL + 3 * (LEVEL * (1 - LEVEL) / 1000) ** 0.5
    assert (p_values[:, :10] < LEVEL).any(axis=1).mean() > 0.3, "uncorrected it is far more"
