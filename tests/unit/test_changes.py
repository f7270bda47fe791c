# SPDX-License-Identifier: GPL-2.0-only
"""Before and after: what another kernel changes, and what is only said to be so by chance."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_metadata, made_trials
from scipy.stats import binomtest, false_discovery_control, wilcoxon

from carveout.common.sizes import GIB, MIB
from carveout.findings.kernels import Change, changes_of
from carveout.statistics.differences import LEVEL
from carveout.statistics.intervals import LEAST_FOR_BOOTSTRAP
from carveout.statistics.pair import (
    COLUMNS,
    LEAST_SEEDS,
    find_changes,
    ratio_interval,
)
from carveout.tables.parquet import read_table, write_table
from carveout.tables.schema import CURVE
from carveout.wording.labels import Labels

OLD = "debian-6.12-arm64"
NEW = "my-tree"
PAIRS = {(OLD, NEW)}
COST = "lend_ns_per_gib"
LABELS = Labels.read(sorted(Path("workflow/strategies").glob("*/strategy.yaml")))


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Trials of twelve seeds, of one kernel."""
    path = tmp_path_factory.mktemp("tables") / "trials.parquet"
    write_table("trials", made_trials(12), path)
    return read_table("trials", path, COLUMNS)


def with_new(old: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """The trials with those of another kernel, which differ in some columns."""
    return pd.concat([old, old.assign(kernel=NEW, **columns)], ignore_index=True)


def of_one_curve(old: pd.DataFrame, strategy: str = "mem") -> pd.DataFrame:
    """Twelve trials, which were granted, of seeds of their own."""
    rows = old[(old["strategy"] == strategy) & (old["load"] == "idle") & (old["cycle"] == 1)]
    granted = rows[rows["granted_bytes"] == rows["request_bytes"]].iloc[:12]
    return granted.assign(outcome="granted", verify="ok", seed=range(1, len(granted) + 1))


def of_quantity(changes: pd.DataFrame, quantity: str) -> dict[str, Any]:
    """The row of a quantity, of a table of one curve."""
    (row,) = changes[changes["quantity"] == quantity].to_dict("records")
    return {str(name): value for name, value in row.items()}


def told(changes: pd.DataFrame) -> Change:
    """What is said of two kernels on one machine."""
    (found,) = changes_of(changes, LABELS)
    return found


def test_equal_kernels_change_nothing(old: pd.DataFrame) -> None:
    changes = find_changes(with_new(old), PAIRS)
    assert len(changes) == len(old[list(CURVE)].drop_duplicates()) * 7
    assert not changes["significant"].any()
    assert (changes[["pairs_up", "pairs_down"]] == 0).all(axis=None)
    assert changes["p_value"].isna().all()
    assert set(changes["verdict"]) == {"equal", "no_pairs"}
    assert (changes["relative_change"].dropna() == 0).all()
    found = told(changes)
    equal = (changes["pairs"] > 0).sum()
    assert not found.grid.lines
    assert f"0 of {len(changes)} comparisons" in str(found.told)
    assert f"{equal} are equal to the bit" in str(found.told)


def test_one_kernel_is_compared_with_nothing(old: pd.DataFrame, tmp_path: Path) -> None:
    for pairs in (PAIRS, {(NEW, OLD)}, set[tuple[str, str]]()):
        changes = find_changes(old, pairs)
        write_table("changes", changes, tmp_path / "changes.parquet")
        assert read_table("changes", tmp_path / "changes.parquet").empty
        assert not changes_of(changes, LABELS)


def test_the_table_fits_its_schema(old: pd.DataFrame, tmp_path: Path) -> None:
    changes = find_changes(with_new(old, lend_ns=old["lend_ns"] * 2), PAIRS)
    write_table("changes", changes, tmp_path / "changes.parquet", made_metadata())
    assert len(read_table("changes", tmp_path / "changes.parquet")) == len(changes)
    assert set(changes["before_kernel"]) == {OLD}
    assert set(changes["kernel"]) == {NEW}


def test_fewer_successes_are_found_and_nothing_else_is(old: pd.DataFrame) -> None:
    worse = (old["strategy"] == "hugetlbfs") & (old["variant"] == "2M_boot") & (old["seed"] <= 9)
    changes = find_changes(
        with_new(
            old,
            outcome=old["outcome"].mask(worse, "partial"),
            granted_bytes=old["granted_bytes"].mask(worse, 2 * MIB),
        ),
        PAIRS,
    )
    found = changes[changes["significant"]]
    assert set(found["variant"]) == {"2M_boot"}
    assert set(found["quantity"]) == {"success", "granted_bytes"}
    success = found[found["quantity"] == "success"].iloc[0]
    assert success["pairs_down"] == 9
    assert success["p_value"] == binomtest(0, 9).pvalue
    assert success["after"] == pytest.approx(success["before"] - 9 / 12)
    line = told(changes).grid.lines[0]
    assert str(line.title) == "hugetlbfs 2M, boot"
    assert {"100 %", "25 %"} <= {str(cell) for cell in line.cells}


def test_costs_are_of_pairs_in_which_both_succeeded(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    new = with_new(
        rows,
        outcome=["refused"] * 2 + ["granted"] * (len(rows) - 2),
        lend_ns=rows["lend_ns"].mask(rows["seed"] <= 2, 10**12) * 2,
    )
    row = of_quantity(find_changes(new, PAIRS), "lend_ns_per_gib")
    kept = rows[rows["seed"] > 2]
    per_gib = kept["lend_ns"] / kept["lent_bytes"] * GIB
    assert row["pairs"] == row["pairs_up"] == len(kept)
    assert row["before"] == pytest.approx(per_gib.mean())
    assert row["before_std"] == pytest.approx(per_gib.std())
    assert row["relative_change"] == pytest.approx(1)
    assert row["p_value"] == pytest.approx(wilcoxon(kept["lend_ns"].to_numpy(float)).pvalue)
    assert row["significant"]


def test_a_verification_that_failed_is_no_success(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    changes = find_changes(with_new(rows, verify="failed"), PAIRS)
    assert of_quantity(changes, "success")["pairs_down"] == len(rows)
    assert of_quantity(changes, "lend_ns_per_gib")["pairs"] == 0


def test_a_real_but_tiny_change_is_not_significant(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    changes = find_changes(with_new(rows, lend_ns=rows["lend_ns"] + 1), PAIRS)
    tiny = of_quantity(changes, "lend_ns_per_gib")
    assert tiny["pairs_up"] == tiny["pairs"] == len(rows)
    assert tiny["p_corrected"] < LEVEL
    assert 0 < tiny["relative_change"] < 0.01
    assert not tiny["significant"]


def test_one_outlier_against_all_others_is_no_change(old: pd.DataFrame) -> None:
    """The mean rises, and all pairs but one fall: there is no telling which way it went."""
    rows = of_one_curve(old)
    lend_ns = (rows["lend_ns"] * 9 // 10).mask(rows["seed"] == 1, rows["lend_ns"] * 1000)
    row = of_quantity(find_changes(with_new(rows, lend_ns=lend_ns), PAIRS), "lend_ns_per_gib")
    assert (row["pairs_up"], row["pairs_down"]) == (1, len(rows) - 1)
    assert row["difference"] > 0
    assert row["p_corrected"] < LEVEL
    assert not row["significant"]


def test_what_comes_from_nothing_is_a_change(old: pd.DataFrame) -> None:
    rows = of_one_curve(old).assign(pages_migrated=0)
    changes = find_changes(with_new(rows, pages_migrated=7), PAIRS)
    row = of_quantity(changes, "pages_migrated")
    assert pd.isna(row["relative_change"])
    assert row["significant"]
    (line,) = told(changes).grid.lines
    assert "from 0" in [str(cell) for cell in line.cells]


def test_trials_without_a_partner_are_counted_and_not_paired(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    new = rows.assign(kernel=NEW, dose_target=[2.5] * 3 + [0.0] * (len(rows) - 3))
    changes = find_changes(pd.concat([rows.iloc[:-1], new]), PAIRS)
    for row in changes.to_dict("records"):
        assert (row["unpaired_before"], row["unpaired_after"]) == (3, 4)
        assert row["pairs"] == len(rows) - 4
    assert "Without a partner are 3 lends before and 4 after." in str(told(changes).told)


def test_kernels_without_any_common_trial_have_rows_without_numbers(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    changes = find_changes(pd.concat([rows, rows.assign(kernel=NEW, dose_target=50.0)]), PAIRS)
    assert (changes["pairs"] == 0).all()
    assert changes[["before", "after", "p_value", "p_corrected"]].isna().all(axis=None)
    assert "7 have no pair" in str(told(changes).told)


def test_one_pair_tells_nothing(old: pd.DataFrame) -> None:
    rows = of_one_curve(old).iloc[:1]
    changes = find_changes(with_new(rows, lend_ns=rows["lend_ns"] * 5), PAIRS)
    row = of_quantity(changes, "lend_ns_per_gib")
    assert row["p_value"] == 1
    assert row["relative_change"] == pytest.approx(4)
    assert pd.isna(row["before_std"])
    assert not changes["significant"].any()
    assert "1 cannot be told" in str(told(changes).told)


def test_a_few_lends_that_succeed_with_one_kernel_alone_are_named(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    changes = find_changes(with_new(rows, outcome=["refused"] * 3 + ["granted"] * 9), PAIRS)
    assert not changes["significant"].any()
    text = str(told(changes).told)
    assert "100 % of pairs before and 75 % after, of mem carveout, idle, 256 MiB" in text


def test_lends_that_nobody_had_are_equal(old: pd.DataFrame) -> None:
    failed = of_one_curve(old).assign(
        outcome="refused",
        granted_bytes=0,
        lent_bytes=0,
        **dict.fromkeys(("lend_ns", "give_back_ns", "memmap_lent_bytes")),
        **dict.fromkeys(("pages_migrated", "regained_bytes")),
    )
    changes = find_changes(with_new(failed.astype(old.dtypes.to_dict())), PAIRS)
    success = of_quantity(changes, "success")
    assert (success["before"], success["after"], success["relative_change"]) == (0, 0, 0)
    assert pd.isna(success["p_value"])
    assert (changes.loc[changes["pairs"] == 0, "quantity"].nunique()) == 5


def test_what_cannot_be_given_is_not_compared(old: pd.DataFrame) -> None:
    assert find_changes(with_new(old, outcome="not_available"), PAIRS)["pairs"].sum() == 0
    assert find_changes(with_new(old.assign(outcome="not_available")), PAIRS).empty


def test_tied_pairs_are_tested_exactly(old: pd.DataFrame) -> None:
    """As scipy's own exact test does, which takes seconds for each of them."""
    rows = of_one_curve(old).iloc[:8]
    differences = np.array([1, 1, 2, 2, 2, -1, 3, 0])
    new = with_new(rows, pages_migrated=rows["pages_migrated"] + differences)
    row = of_quantity(find_changes(new, PAIRS), "pages_migrated")
    assert row["p_value"] == pytest.approx(wilcoxon(differences[:-1].astype(float)).pvalue)


def test_all_comparisons_are_corrected_together(old: pd.DataFrame) -> None:
    cheaper = old["lend_ns"].mask(old["strategy"] == "cma", old["lend_ns"] // 2)
    changes = find_changes(with_new(old, lend_ns=cheaper, pages_migrated=3), PAIRS)
    tested = changes[(changes["seeds_differing"] >= LEAST_SEEDS) & ~changes["exact"]]
    assert changes["p_corrected"].notna().sum() == len(tested) > 50
    corrected = false_discovery_control(tested["p_value"].to_numpy(float))
    assert tested["p_corrected"].to_numpy(float) == pytest.approx(corrected)


def test_chance_alone_is_rarely_called_a_change(old: pd.DataFrame) -> None:
    """Costs of the same distribution: of a table without any change hardly a row is one."""
    random = np.random.default_rng(3)

    def noisy() -> "pd.Series[int]":
        return (old["lend_ns"] * random.lognormal(0, 0.3, len(old))).astype("Int64")

    found = [
        find_changes(with_new(old.assign(lend_ns=noisy()), lend_ns=noisy()), PAIRS)
        for _ in range(5)
    ]
    assert sum(int(changes["significant"].sum()) for changes in found) <= 2


def test_several_kernels_are_each_compared_with_the_first(old: pd.DataFrame) -> None:
    kernels = [old, *(old.assign(kernel=name, kernel_version="7") for name in ("a", "b"))]
    changes = find_changes(pd.concat(kernels), {(OLD, "a"), (OLD, "b")})
    assert set(changes["kernel"]) == {"a", "b"}
    labels = [found.label for found in changes_of(changes, LABELS)]
    assert labels == [
        f"{OLD} (6.12.107-1) → {name} (7 in place of the pinned 6.12.107-1), 4 GiB RAM, "
        "in any pages"
        for name in ("a", "b")
    ]


def test_requests_of_one_size_are_told_apart(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    both = pd.concat([rows, rows.assign(cycle=2)])
    lines = told(find_changes(with_new(both, lend_ns=both["lend_ns"] * 2), PAIRS)).grid.lines
    assert [str(line.cells[1]) for line in lines] == [
        f"256 MiB (quarter then whole, cycle {cycle})" for cycle in (1, 2)
    ]


def test_curves_that_one_kernel_lacks_are_not_compared(old: pd.DataFrame) -> None:
    both = with_new(old)
    mine = both["kernel"] == NEW
    changes = find_changes(both[~mine | (both["strategy"] != "cma")], PAIRS)
    assert "cma" not in set(changes["strategy"])
    assert len(changes) > 0


def test_machines_that_one_kernel_lacks_are_not_compared(old: pd.DataFrame) -> None:
    larger = old.assign(ram_bytes=old["ram_bytes"] * 2)
    changes = find_changes(pd.concat([with_new(old), larger]), PAIRS)
    pd.testing.assert_frame_equal(changes, find_changes(with_new(old), PAIRS))


def test_doses_of_one_seed_are_not_independent(old: pd.DataFrame) -> None:
    """Eight doses of three seeds are three that say something, and with more seeds it is told."""
    rows = of_one_curve(old)
    doses = pd.concat([rows.assign(dose_target=float(dose)) for dose in range(8)])
    for seeds, verdict in ((3, "cannot_tell"), (12, "worse")):
        few = doses[doses["seed"] <= seeds]
        row = of_quantity(find_changes(with_new(few, lend_ns=few["lend_ns"] * 2), PAIRS), COST)
        assert (row["pairs"], row["seeds"]) == (8 * seeds, seeds)
        assert row["verdict"] == verdict
        assert pd.isna(row["difference_low"]) == (seeds < LEAST_FOR_BOOTSTRAP)
        assert pd.isna(row["seeds_needed"]) == (verdict == "worse")


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Of ten seeds, which have one to three pairs each: to a percent or two."""
    random = np.random.default_rng(4)
    counts = np.array([1.0, 2, 3, 1, 2, 3, 1, 2, 3, 2])
    covered = 0
    for _ in range(1500):
        low, high = ratio_interval(counts * random.normal(5, 1, 10), counts)
        covered += low <= 5 <= high
    assert 0.925 < covered / 1500 < 0.975


def test_what_varies_at_no_dose_is_exact_whatever_the_doses(old: pd.DataFrame) -> None:
    rows = of_one_curve(old)
    both = pd.concat([rows.assign(dose_target=dose, pages_migrated=int(dose)) for dose in (7.0, 9)])
    row = of_quantity(find_changes(with_new(both, pages_migrated=8), PAIRS), "pages_migrated")
    assert row["exact"]
    assert (row["pairs_up"], row["pairs_down"]) == (12, 12)
    assert pd.isna(row["p_value"])
    assert row["verdict"] == "small"
    varying = with_new(both, pages_migrated=both["pages_migrated"] + both["seed"])
    assert not of_quantity(find_changes(varying, PAIRS), "pages_migrated")["exact"]
