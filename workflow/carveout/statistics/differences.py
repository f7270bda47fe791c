# SPDX-License-Identifier: GPL-2.0-only
"""Tests of differences, and how large these are.

The unit is the seed: trials of one seed at several doses find the load's pages in places that are
alike, so they are averaged before anything is tested.
"""

import math

import numpy as np
from scipy.stats import binomtest, boschloo_exact, brunnermunzel, norm, permutation_test

from carveout.statistics.intervals import Numbers, batch_of

# A test calls a difference significant below this.
LEVEL = 0.05
# With fewer values on one side Brunner and Munzel's test finds differences too often.
LEAST_FOR_BRUNNER_MUNZEL = 20

# How often a difference as large as that seen is to be found.
_POWER = 0.8
# Up to 13 seeds all 2^n signs are tried, beyond them as many by chance, always the same.
_SIGNS = 9999
_SIGNS_SEED = 1935


def sign_flip_p_values(differences: Numbers) -> Numbers:
    """Return for each row of differences, one a seed, how likely as large a mean is by chance.

    Fisher's randomisation test of pairs (Fisher 1935, The Design of Experiments, section 21): had
    the two sides no difference, each seed's would have either sign. Two-sided, as in scipy's
    `permutation_test`; exact up to 13 seeds. Of n seeds no p-value is below 2^(1-n).
    """
    rows, count = differences.shape
    if not rows or count < 2:
        return np.ones(rows)
    test = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        axis=-1,
        n_resamples=_SIGNS,
        batch=batch_of(differences),
        rng=np.random.default_rng(_SIGNS_SEED),
    )
    return np.atleast_1d(test.pvalue).astype(np.float64)


def mcnemar_p_value(up: int, down: int) -> float:
    """Return how likely as uneven a split of the pairs in which one side alone succeeded is.

    McNemar's test (McNemar 1947, Psychometrika 12:153-157), exact: whether each side has its half
    of them (scipy's `binomtest`).
    """
    return float(binomtest(up, up + down).pvalue) if up + down else 1.0


def boschloo_p_value(successes: int, trials: int, other_successes: int, other_trials: int) -> float:
    """Return how likely as different success rates are by chance, of trials that are not paired.

    Boschloo's exact test (Boschloo 1970, Statistica Neerlandica 24:1-9, as in scipy), which finds
    more than Fisher's at the same level.
    """
    failures, other_failures = trials - successes, other_trials - other_successes
    if not (successes + other_successes and failures + other_failures):
        return 1.0
    table = [[successes, other_successes], [failures, other_failures]]
    return min(1.0, float(boschloo_exact(table).pvalue))


def brunner_munzel_p_value(values: Numbers, others: Numbers) -> float | None:
    """Return how likely values are so often above others by chance, of seeds not paired.

    Brunner and Munzel 2000 (Biometrical Journal 42:17-25, as in scipy): neither equal spreads nor
    any distribution are wanted. None for fewer values than `LEAST_FOR_BRUNNER_MUNZEL`.
    """
    if min(len(values), len(others)) < LEAST_FOR_BRUNNER_MUNZEL:
        return None
    if values.min() == values.max() == others.min() == others.max():
        return 1.0
    if values.min() > others.max() or others.min() > values.max():
        # Apart altogether: its variance is 0, so take the least p-value that ranks can give.
        return 2 / math.comb(len(values) + len(others), len(values))
    return float(brunnermunzel(values, others).pvalue)


def cliffs_delta(values: Numbers, others: Numbers) -> float:
    """Return how much more often one of the values is above one of the others than below.

    Cliff 1993 (Psychological Bulletin 114:494-509): 1 where all are above, -1 where all are below,
    0 where it is even.
    """
    return float(np.sign(values[:, np.newaxis] - others).mean())


def holm(p_values: Numbers) -> Numbers:
    """Return p-values corrected for there being several: no true hypothesis among them is rejected.

    But with the chance that one test has (Holm 1979, Scandinavian Journal of Statistics 6:65-70).
    """
    order = np.argsort(p_values, kind="stable")
    left = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(np.minimum(p_values[order] * left, 1))
    return corrected


def seeds_to_be_significant(tests: int) -> int:
    """Return how many seeds it takes at least: all of one sign, after Holm's correction."""
    return math.floor(1 + math.log2(tests / LEVEL)) + 1


def seeds_to_see(difference: float, spread: float, tests: int) -> int:
    """Return with how many seeds such a mean difference is mostly seen, with such a spread.

    By the normal approximation to Student's test of pairs with its correction for few (Guenther
    1981, The American Statistician 35:243-244), at a power of 0.8, with the level of one of so many
    tests; and no fewer than it takes where every seed agrees.
    """
    reach = norm.isf(LEVEL / 2 / tests)
    wanted = ((reach + norm.ppf(_POWER)) * spread / difference) ** 2
    if spread:
        wanted += reach**2 / 2
    return max(math.ceil(wanted), seeds_to_be_significant(tests))
