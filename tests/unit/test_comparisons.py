# SPDX-License-Identifier: GPL-2.0-only
"""How strategies differ: what is said of them, and how often it is said of nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials

from carveout.common.sizes import GIB, MIB
from carveout.statistics.compare import COLUMNS, compare, compare_pairs
from carveout.statistics.differences import (
    LEVEL,
    boschloo_p_value,
    brunner_munzel_p_value,
    mcnemar_p_value,
    seeds_to_be_significant,
    sign_flip_p_values,
)
from carveout.statistics.intervals import mean_intervals, newcombe_interval
from carveout.tables.parquet import read_table, write_table

REFERENCE = ("baseline", "ordinary_pages")
OTHER = ("cma", "area")
Amounts = npt.ArrayLike


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("tables") / "trials.parquet"
    write_table("trials", made_trials(8), path)
    return read_table("trials", path, COLUMNS)


def of_variant(
    variant: tuple[str, str],
    granted_mib: Amounts,
    *,
    lend_ns: Amounts = 1e6,
    doses: Sequence[float] = (10,),
    first_seed: int = 1,
) -> pd.DataFrame:
    """Trials of one variant: amounts in rows of seeds and columns of doses."""
    amounts = np.atleast_2d(np.asarray(granted_mib, float))
    times = np.broadcast_to(np.asarray(lend_ns, float), amounts.shape)
    seeds, columns = np.indices(amounts.shape)
    granted_bytes = pd.array((amounts * MIB).ravel().astype(int), "Int64")
    common: dict[str, Any] = {
        "kernel": "k",
        "kernel_version": "1",
        "kernel_pinned": "1",
        "ram_bytes": GIB,
        "granule": "page",
        "strategy": variant[0],
        "variant": variant[1],
        "load": "slab",
        "requests": "whole",
        "cycle": 1,
        "request_bytes": 512 * MIB,
        "verify": "ok",
        "memmap_lent_bytes": 0,
        "pages_migrated": 0,
        "regained_bytes": 0,
        "layout": 0,
    }
    frame = pd.DataFrame(
        {
            "dose_target": np.take(np.asarray(doses, float), columns.ravel()),
            "dose_achieved": np.take(np.asarray(doses, float), columns.ravel()),
            "seed": seeds.ravel() + first_seed,
            "granted_bytes": granted_bytes,
            "lent_bytes": granted_bytes,
            "outcome": np.where(amounts.ravel() >= 512, "granted", "partial"),
            "lend_ns": pd.array(times.ravel().round().astype(int), "Int64"),
            "give_back_ns": pd.array(times.ravel().round().astype(int), "Int64"),
        }
    )
    return frame.assign(**common)[list(COLUMNS)]


def compared(*variants: pd.DataFrame, quantity: str = "granted_bytes") -> dict[str, Any]:
    """The only row of a quantity."""
    table = compare(pd.concat(variants), [REFERENCE])
    (row,) = table[table["quantity"] == quantity].to_dict("records")
    return {str(name): None if pd.isna(value) else value for name, value in row.items()}


def per_seed(*amounts: float) -> npt.NDArray[np.float64]:
    """Amounts of seeds at one dose."""
    return np.array(amounts)[:, np.newaxis]


def test_the_table_fits_its_schema_and_has_a_row_for_each_curve_and_quantity(
    trials: pd.DataFrame, tmp_path: Path
) -> None:
    table = compare(trials, [REFERENCE])
    write_table("comparisons", table, tmp_path / "comparisons.parquet")
    others = trials[trials["strategy"] != REFERENCE[0]]
    curves = others.drop_duplicates(["strategy", "variant", "load", "requests", "cycle"])
    assert (table["quantity"] == "granted_bytes").sum() == len(curves)
    assert (table["quantity"] == "success").sum() == len(curves)
    assert set(table["verdict"]) == {"equal", "exact", "cannot_tell"}
    again = compare(trials.sample(frac=1, random_state=1), [REFERENCE])
    write_table("comparisons", again, tmp_path / "again.parquet")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "comparisons.csv").read_bytes()


def test_what_is_the_same_to_the_bit_is_equal_and_has_no_p_value() -> None:
    row = compared(of_variant(REFERENCE, per_seed(512, 500)), of_variant(OTHER, per_seed(512, 500)))
    assert (row["verdict"], row["pairs"], row["difference"]) == ("equal", 2, 0)
    assert row["p_value"] is row["p_corrected"] is row["method"] is row["trials_needed"] is None


def test_what_no_seed_changes_is_exact_and_has_no_p_value() -> None:
    doses = (10, 20)
    row = compared(
        of_variant(REFERENCE, [[512, 300]] * 3, doses=doses),
        of_variant(OTHER, [[508, 296]] * 3, doses=doses),
    )
    assert (row["verdict"], row["difference"]) == ("exact", -4 * MIB)
    assert (row["doses"], row["seeds"], row["pairs"], row["pairs_down"]) == (2, 3, 6, 6)
    assert row["p_value"] is row["interval"] is None


def test_one_seed_cannot_show_that_none_changes_anything() -> None:
    row = compared(of_variant(REFERENCE, [[512]]), of_variant(OTHER, [[508]]))
    assert row["verdict"] == "cannot_tell"
    assert row["trials_needed"] == seeds_to_be_significant(1) == 6
    assert row["p_value"] is row["interval"] is None


def test_a_rate_that_seeds_do_not_change_is_not_exact_where_they_change_what_is_granted() -> None:
    """Neither succeeds in part of the seeds, but one of them might have: it lends 500 or 400."""
    sides = (
        of_variant(REFERENCE, per_seed(512, 512, 512)),
        of_variant(OTHER, per_seed(500, 400, 500)),
    )
    row = compared(*sides, quantity="success")
    assert (row["value"], row["against_value"], row["verdict"]) == (0, 1, "cannot_tell")
    assert row["method"] == "mcnemar"
    assert row["p_value"] == pytest.approx(mcnemar_p_value(0, 3)) == 0.25


def test_seeds_are_what_is_counted_not_doses() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(100, 400, (2, 7, 3))
    doses = (10, 20, 40)
    row = compared(of_variant(REFERENCE, other, doses=doses), of_variant(OTHER, one, doses=doses))
    # Of what is granted it is the mean of the curve between the lowest and the highest dose.
    differences = np.trapezoid((one - other) * MIB, doses) / 30
    assert (row["seeds"], row["pairs"]) == (7, 21)
    assert (row["least_dose"], row["most_dose"]) == (10, 40)
    assert row["p_value"] == pytest.approx(sign_flip_p_values(differences[np.newaxis])[0])
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["difference"] == pytest.approx(row["value"] - row["against_value"])
    assert row["interval"] == "range"
    assert row["difference_low"] == pytest.approx(differences.min())
    assert row["difference_high"] == pytest.approx(differences.max())


def test_what_is_granted_does_not_depend_on_which_doses_a_ladder_added() -> None:
    """The same curve, of which one side has the ends and what lies on the lines between."""
    coarse = of_variant(REFERENCE, [[512, 512, 0]] * 2, doses=(0, 20, 40))
    fine = [[512, 512, 512, 512, 256, 128, 0]] * 2
    row = compared(coarse, of_variant(OTHER, fine, doses=(0, 5, 10, 20, 30, 35, 40)))
    assert (row["verdict"], row["doses"], row["pairs"]) == ("equal", 3, 6)
    assert row["value"] == row["against_value"] == pytest.approx(384 * MIB)
    falls = [[512, 512, 512, 512, 512, 512, 0]] * 2
    row = compared(coarse, of_variant(OTHER, falls, doses=(0, 5, 10, 20, 30, 35, 40)))
    assert (row["verdict"], row["pairs_up"]) == ("exact", 0)
    assert row["difference"] == pytest.approx((512 * 35 + 256 * 5) * MIB / 40 - 384 * MIB)


def test_a_load_that_missed_its_dose_is_of_another_and_a_refused_one_is_not() -> None:
    doses = (10, 50)
    trimmed, refused, other = (of_variant(OTHER, [[512, 100]] * 3, doses=doses) for _ in range(3))
    high = trimmed["dose_target"] == 50
    trimmed["dose_achieved"] = trimmed["dose_achieved"].mask(high, 35.0)
    # What the load came to until it was refused.
    refused["dose_achieved"] = refused["dose_achieved"].mask(high, 35.0)
    refused["outcome"] = refused["outcome"].mask(high, "load_refused")
    refused["granted_bytes"] = refused["granted_bytes"].mask(high, 0)
    reference = of_variant(REFERENCE, [[512, 200]] * 3, doses=doses)
    ends = ("least_dose", "most_dose", "difference")
    assert [compared(reference, trimmed)[end] for end in ends] == [10, 10, 0]
    assert [compared(reference, refused)[end] for end in ends] == [10, 50, -100 * MIB]
    assert [compared(reference, other)[end] for end in ends] == [10, 50, -50 * MIB]


def test_of_several_hosts_these_are_what_is_counted() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(100, 400, (2, 12, 2))
    sides = [
        side.assign(layout=(side["seed"] - 1) % 4 + 1)
        for side in (
            of_variant(OTHER, one, doses=(10, 20)),
            of_variant(REFERENCE, other, doses=(10, 20)),
        )
    ]
    row = compared(*sides)
    differences = ((one - other) * MIB).mean(axis=1).reshape(3, 4).mean(axis=0)
    assert (row["hosts"], row["seeds"], row["pairs"]) == (4, 12, 24)
    assert row["p_value"] == pytest.approx(sign_flip_p_values(differences[np.newaxis])[0])
    assert row["interval"] == "range"
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(
        (differences.min(), differences.max())
    )
    assert row["trials_needed"] > 4
    alone = compared(sides[0], sides[1].assign(layout=0))
    assert alone["pairs"] == alone["hosts"] == 0, "another host is no partner"


def test_from_ten_seeds_on_there_is_an_interval_and_what_differs_does() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(100, 110, (10, 1)), rng.integers(300, 310, (10, 1))
    row = compared(of_variant(REFERENCE, other), of_variant(OTHER, one))
    differences = ((one - other) * MIB).mean(axis=1).astype(float)
    assert row["interval"] == "bootstrap"
    found = (row["difference_low"], row["difference_high"])
    assert found == pytest.approx(tuple(mean_intervals(differences[np.newaxis])[0]))
    assert (row["verdict"], row["p_value"], row["trials_needed"]) == ("differs", 2**-9, None)


def test_a_difference_inside_the_margin_is_none() -> None:
    ups = per_seed(1, -1, 2, 0, 1, -2)
    sides = of_variant(REFERENCE, per_seed(*[400] * 6)), of_variant(OTHER, 400 + ups)
    row = compared(*sides)
    assert row["margin"] == pytest.approx(5.12 * MIB)
    assert (row["verdict"], row["trials_needed"]) == ("equal_within", None)
    five = [side[side["seed"] <= 5] for side in sides]
    row = compared(*five)
    assert (row["verdict"], row["trials_needed"]) == ("cannot_tell", 6)


def test_p_values_are_corrected_over_the_rows_that_are_tested() -> None:
    amounts = np.random.default_rng(3).integers(100, 110, (7, 1))
    variants = [("cma", f"v{number}") for number in range(4)]
    exact = [("mem", f"v{number}") for number in range(4)]
    table = compare(
        pd.concat(
            [
                of_variant(REFERENCE, per_seed(*[400] * 7)),
                *(of_variant(variant, amounts) for variant in variants),
                *(of_variant(variant, per_seed(*[300] * 7)) for variant in exact),
            ]
        ),
        [REFERENCE],
    )
    granted = table[table["quantity"] == "granted_bytes"]
    tested = granted[granted["strategy"] == "cma"]
    assert (granted[granted["strategy"] == "mem"]["verdict"] == "exact").all()
    assert (tested["p_value"] == 2**-6).all()
    assert (tested["p_corrected"] == 4 * 2**-6).all()
    assert (tested["trials_needed"] == seeds_to_be_significant(4)).all()


def test_costs_are_of_a_gib_of_pairs_in_which_both_lent_anything() -> None:
    one = of_variant(OTHER, per_seed(512, 256, 0), lend_ns=per_seed(3e6, 1e6, 9e9))
    other = of_variant(REFERENCE, per_seed(512, 512, 512), lend_ns=per_seed(1e6, 3e6, 1e6))
    row = compared(other, one, quantity="lend_ns_per_gib")
    assert row["pairs"] == 2
    assert row["value"] == pytest.approx((6e6 + 4e6) / 2)
    assert row["against_value"] == pytest.approx((2e6 + 6e6) / 2)
    assert (row["effect"], row["margin"]) == (0.25, pytest.approx(0.05 * 4e6))
    assert (row["pairs_up"], row["pairs_down"], row["verdict"]) == (1, 1, "cannot_tell")


def test_a_cost_of_which_seeds_change_next_to_nothing_is_clear_with_its_range() -> None:
    noise = per_seed(0, 3e4, 1e4)
    full = per_seed(512, 512, 512)
    other = of_variant(REFERENCE, full, lend_ns=1e6 + noise)
    for factor, verdict in ((2, "clear"), (1.04, "cannot_tell"), (1.1, "cannot_tell")):
        one = of_variant(OTHER, full, lend_ns=1e6 * factor - noise)
        row = compared(other, one, quantity="lend_ns_per_gib")
        assert (row["verdict"], row["interval"]) == (verdict, "range"), factor
        assert (row["p_value"] is None) == (verdict == "clear")
        assert row["difference_low"] == pytest.approx(2e6 * (factor - 1) - 4 * 3e4)


def test_what_can_be_tested_is_tested_however_clear_it_is() -> None:
    noise = per_seed(*range(6)) * 1e3
    full = np.full((6, 1), 512)
    sides = (
        of_variant(REFERENCE, full, lend_ns=1e6 + noise),
        of_variant(OTHER, full, lend_ns=2e6 - noise),
    )
    row = compared(*sides, quantity="lend_ns_per_gib")
    assert (row["verdict"], row["p_value"]) == ("differs", 2**-5)


def test_what_never_lent_has_no_cost() -> None:
    table = compare(
        pd.concat([of_variant(REFERENCE, [[512]]), of_variant(OTHER, [[0]])]), [REFERENCE]
    )
    assert set(table["quantity"]) == {"granted_bytes", "success"}


def test_other_seeds_are_not_paired() -> None:
    one, other = per_seed(512, 512, 480, 512), per_seed(470, 512, 480, 430, 460)
    sides = of_variant(OTHER, one), of_variant(REFERENCE, other, first_seed=11)
    row = compared(*sides, quantity="success")
    counts = (3, 4, 1, 5)
    assert (row["pairs"], row["seeds"], row["doses"]) == (0, 0, 1)
    assert (row["method"], row["interval"]) == ("boschloo", "newcombe")
    assert row["p_value"] == pytest.approx(boschloo_p_value(*counts))
    found = (row["difference_low"], row["difference_high"])
    assert found == pytest.approx(tuple(newcombe_interval(*counts)))
    row = compared(*sides)
    assert row["method"] is row["p_value"] is row["interval"] is None, "too few of them"
    assert row["verdict"] == "cannot_tell"


def test_many_other_seeds_are_ranked() -> None:
    one, other = np.random.default_rng(1).integers(100, 500, (2, 25, 2))
    doses = (10, 20)
    row = compared(
        of_variant(OTHER, one, doses=doses),
        of_variant(REFERENCE, other, doses=doses, first_seed=40),
    )
    wanted = brunner_munzel_p_value(one.mean(axis=1), other.mean(axis=1))
    assert row["method"] == "brunner_munzel"
    assert row["p_value"] == pytest.approx(wanted)


def test_the_reference_is_the_first_that_was_run_there() -> None:
    single = [
        of_variant(variant, [[512, 512]], doses=(1, 2)).assign(granule="single")
        for variant in (OTHER, ("mem", "carve_out"))
    ]
    everywhere = pd.concat([of_variant(REFERENCE, [[512]]), of_variant(OTHER, [[512]]), *single])
    table = compare(everywhere, [REFERENCE, ("mem", "carve_out"), OTHER])
    found = table[["granule", "strategy", "against_strategy"]].drop_duplicates()
    assert found.to_numpy().tolist() == [["page", "cma", "baseline"], ["single", "cma", "mem"]]
    unknown = compare(everywhere, [("nobody", "knows")])
    assert set(unknown["against_strategy"]) == {"baseline", "cma"}


def test_any_two_can_be_compared(trials: pd.DataFrame) -> None:
    pairs = [(("mem", "carveout"), OTHER), (OTHER, ("mem", "carveout")), (OTHER, ("no", "such"))]
    table = compare_pairs(trials, pairs)
    one, other = (table[table["strategy"] == name].reset_index() for name in ("mem", "cma"))
    assert len(one) == len(other) == len(table) / 2
    assert (one["difference"] == -other["difference"]).all()
    assert (one["verdict"] == other["verdict"]).mean() > 0.9, "margins of costs are of the other"


@pytest.mark.parametrize(
    ("seeds", "spread"), [(2, 0.01), (2, 0.05), (2, 0.1), (2, 0.3), (3, 0.05), (12, 0.1)]
)
def test_of_variants_that_cost_the_same_few_are_said_to_differ(seeds: int, spread: float) -> None:
    """Costs of 200 variants that differ by chance alone, from host to host."""
    count = 200
    rng = np.random.default_rng(seeds)
    full = np.full((seeds, count), 512.0)
    costs_ns = 1e9 * (1 + spread * rng.normal(size=full.shape))
    variants = of_variant(OTHER, full, lend_ns=costs_ns, doses=range(count))
    variants = variants.assign(
        variant="v" + variants["dose_target"].astype(str), dose_target=10.0, dose_achieved=10.0
    )
    references = of_variant(REFERENCE, full[:, :1], lend_ns=1e9 + 1e3 * rng.normal(size=(seeds, 1)))
    table = compare(pd.concat([references, variants]), [REFERENCE])
    costs = table[table["quantity"] == "lend_ns_per_gib"]
    said = costs["verdict"].isin(["exact", "clear", "differs"]).mean()
    print(f"{seeds} seeds, spread {spread:.0%}: {said:.3f} are said to differ")
    assert len(costs) == count
    assert said < LEVEL + 3 * (LEVEL * (1 - LEVEL) / count) ** 0.5
    assert (costs["verdict"] != "equal").all()
