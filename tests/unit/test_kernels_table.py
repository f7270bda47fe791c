# SPDX-License-Identifier: GPL-2.0-only
"""Kernels side by side: what each makes of a variant."""

from pathlib import Path

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials

from carveout.common.sizes import GIB, MIB
from carveout.statistics.curves import describe_curves
from carveout.statistics.summarize import describe_kernels, describe_variants, summarize
from carveout.tables.parquet import read_table, write_table
from carveout.tables.schema import CURVE


def described(trials: pd.DataFrame) -> pd.DataFrame:
    curves = describe_curves(summarize(trials), trials)
    return describe_kernels(trials, describe_variants(trials), curves)


@pytest.fixture
def trials(tmp_path: Path) -> pd.DataFrame:
    """Trials on two kernels, of which one cannot run `mem`."""
    write_table("trials", made_trials(), tmp_path / "trials.parquet")
    made = read_table("trials", tmp_path / "trials.parquet")
    other = made.assign(kernel="other", page_bytes=16384)
    cannot = other["strategy"] == "mem"
    other["outcome"] = other["outcome"].mask(cannot, "not_available")
    other["message"] = other["message"].mask(cannot, "the running kernel has no telepathy")
    return pd.concat([made, other], ignore_index=True)


def test_the_table_fits_its_schema_with_a_row_for_each_kernel_and_variant(
    trials: pd.DataFrame, tmp_path: Path
) -> None:
    table = described(trials)
    write_table("kernels", table, tmp_path / "kernels.parquet")
    assert len(table) == len(trials[["kernel", "strategy", "variant"]].drop_duplicates())
    assert set(table[["kernel", "page_bytes"]].itertuples(index=False, name=None)) == {
        ("debian-6.12-arm64", 4096),
        ("other", 16384),
    }


def test_what_a_kernel_cannot_run_says_why_and_no_more(trials: pd.DataFrame) -> None:
    table = described(trials)
    cannot = table[(table["kernel"] == "other") & (table["strategy"] == "mem")]
    assert not cannot["available"].any()
    assert (cannot["why_not_available"] == "the running kernel has no telepathy").all()
    assert cannot[["granted_most_bytes", "half_dose_least"]].isna().all(axis=None)
    assert table.loc[table["available"], "why_not_available"].isna().all()


def test_costs_are_of_the_largest_request_that_got_anything(trials: pd.DataFrame) -> None:
    largest = trials["request_bytes"] == trials["request_bytes"].max()
    trials["memmap_lent_bytes"] = trials["memmap_lent_bytes"].mask(~largest, 7)
    table = described(trials)
    cma = table[table["strategy"] == "cma"]
    assert (cma["memmap_per_lent_gib_bytes"] == 16 * MIB).all()
    variants = describe_variants(trials)
    whole = variants[(variants["strategy"] == "cma") & (variants["request_bytes"] == GIB)]
    assert cma["lend_ns_per_gib_p50"].tolist() == whole["lend_ns_per_gib_p50"].tolist()


def test_the_load_that_halves_first_is_named(trials: pd.DataFrame) -> None:
    curves = describe_curves(summarize(trials), trials)
    of_cma = curves["strategy"] == "cma"
    curves["turning_point"] = pd.array([pd.NA] * len(curves), "Float64")
    for load, dose in (("idle", 60.0), ("anonymous_memory", 25.0)):
        curves.loc[of_cma & (curves["load"] == load), "turning_point"] = dose
    small = curves["request_bytes"] < GIB
    curves.loc[of_cma & small, "turning_point"] = 1.0
    table = describe_kernels(trials, describe_variants(trials), curves)
    cma = table[table["strategy"] == "cma"]
    assert (cma["half_dose_least"] == 25).all()
    assert (cma["half_dose_least_load"] == "anonymous_memory").all()
    others = table[table["strategy"] == "baseline"]
    assert others["half_dose_least"].isna().all()
    assert len(curves.drop_duplicates(list(CURVE))) == len(curves)
