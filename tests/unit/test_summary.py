# SPDX-License-Identifier: GPL-2.0-only
"""Statistics: what counts as a success, what is averaged over what, and that no trial is lost."""

from pathlib import Path

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_trials
from scipy.stats import binomtest

from carveout.common.rates import wilson_interval
from carveout.common.sizes import GIB, MIB
from carveout.statistics.intervals import mean_intervals
from carveout.statistics.summarize import (
    describe_variants,
    list_failures,
    summarize,
)
from carveout.tables.parquet import read_table, write_table
from carveout.tables.rules import REUSE_COLUMNS
from carveout.tables.schema import CELL


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("tables") / "trials.parquet"
    write_table("trials", made_trials(), path)
    return read_table("trials", path)


def test_the_statistics_fit_their_schemas(trials: pd.DataFrame, tmp_path: Path) -> None:
    for name, make in (
        ("summary", summarize),
        ("variants", describe_variants),
        ("failures", list_failures),
    ):
        write_table(name, make(trials), tmp_path / f"{name}.parquet")
        head = "kernel,kernel_version,kernel_pinned,ram_bytes,granule,strategy"
        assert (tmp_path / f"{name}.csv").read_text().startswith(head)


def test_of_hosts_that_were_only_counted_there_are_no_rows(
    trials: pd.DataFrame, tmp_path: Path
) -> None:
    for name, make in (
        ("summary", summarize),
        ("variants", describe_variants),
        ("failures", list_failures),
    ):
        write_table(name, make(trials.iloc[:0]), tmp_path / f"{name}.parquet")
        assert read_table(name, tmp_path / f"{name}.parquet").empty


def test_every_trial_is_counted(trials: pd.DataFrame) -> None:
    summary, comparison, failures = (
        summarize(trials),
        describe_variants(trials),
        list_failures(trials),
    )
    assert summary["trials"].sum() == comparison["trials"].sum() == len(trials)
    assert len(summary) == len(trials[list(CELL)].drop_duplicates())
    assert failures["count"].sum() == len(trials) - summary["successes"].sum()


def test_a_cell_that_stopped_early_says_how_many_trials_were_asked_for(
    trials: pd.DataFrame,
) -> None:
    early = trials[
        (trials["strategy"] != "cma") | (trials["load"] != "idle") | (trials.index % 5 < 2)
    ]
    summary, comparison = summarize(early), describe_variants(early)
    assert (summary["trials_asked"] == 5).all()
    assert 0 < (summary["trials"] < summary["trials_asked"]).sum() < len(summary)
    assert (comparison["trials_asked"] == 20).all()
    assert summary["trials"].sum() == comparison["trials"].sum() == len(early)


def test_a_cell_agrees_with_plain_counting(trials: pd.DataFrame) -> None:
    summary = summarize(trials)
    cell = summary[(summary["granted"] > 1) & (summary["granted"] < summary["trials"])].iloc[0]
    rows = trials[(trials[list(CELL)] == cell[list(CELL)]).all(axis=1)]
    good = rows[(rows["outcome"] == "granted") & (rows["verify"] != "failed")]
    interval = binomtest(len(good), len(rows)).proportion_ci(method="wilson")
    assert cell["successes"] == len(good)
    assert cell["success_low"] == pytest.approx(interval.low)
    assert cell["success_high"] == pytest.approx(interval.high)
    assert cell["lend_ns_p50"] == pytest.approx(good["lend_ns"].median())
    assert cell["lend_ns_p95"] == pytest.approx(good["lend_ns"].quantile(0.95))


def test_a_host_that_crashed_counts_as_a_failure(trials: pd.DataFrame) -> None:
    some = trials.assign(outcome=trials["outcome"].where(trials.index % 2 == 0, "crashed"))
    summary = summarize(some)
    assert summary["crashed"].sum() == (some["outcome"] == "crashed").sum() > 0
    assert summary["trials"].sum() == len(trials)
    assert (summary["success_rate"] == summary["successes"] / summary["trials"]).all()


def test_what_comes_back_is_a_share_of_what_was_granted(trials: pd.DataFrame) -> None:
    granted = trials[trials["outcome"] == "granted"]
    half_bytes = granted["request_bytes"] // 2
    names = ["regained_bytes", "kept_back_bytes", *REUSE_COLUMNS]
    half = granted.assign(
        outcome="partial",
        granted_bytes=half_bytes,
        lent_bytes=half_bytes,
        **dict.fromkeys(names, half_bytes // 4),
    )
    summary = summarize(half)
    for name in names:
        assert (summary[f"{name.removesuffix('_bytes')}_share"] == 0.25).all(), name


def test_a_failed_verification_is_no_success(trials: pd.DataFrame) -> None:
    granted = trials[trials["outcome"] == "granted"].assign(verify="failed")
    assert summarize(granted)["successes"].sum() == 0
    assert set(list_failures(granted)["outcome"]) == {"verify failed"}


def test_a_cell_without_success_is_a_row_without_cost(trials: pd.DataFrame) -> None:
    refused = trials[trials["outcome"] == "refused"]
    summary = summarize(refused)
    assert (summary["success_rate"] == 0).all()
    assert (summary["success_high"] > 0).all()
    assert summary["lend_ns_p50"].isna().all()
    assert summary["refusal_ns_p50"].notna().all()


def test_memmap_is_per_lent_gib(trials: pd.DataFrame) -> None:
    comparison = describe_variants(trials)
    cma = comparison[comparison["strategy"] == "cma"]
    mem = comparison[comparison["strategy"] == "mem"]
    assert (cma["memmap_per_lent_gib_bytes"] == 16 * MIB).all()
    assert (mem["memmap_per_lent_gib_bytes"] == 0).all()
    assert (mem["memmap_idle_bytes"] == 48 * MIB).all()
    assert (mem["stranded_bytes"] == GIB).all()


def test_failures_name_the_blocking_page_and_the_loads(trials: pd.DataFrame) -> None:
    failures = list_failures(trials)
    contiguous = failures[failures["strategy"] == "alloc_contig_range"]
    assert set(contiguous["blocker_type"]) == {"slab"}
    assert set(contiguous["blocker_owner"]) == {"alloc_inode,new_inode"}
    assert contiguous["loads"].str.contains("anonymous_memory, unmovable_pages").any()
    assert set(failures.loc[failures["outcome"] == "load_killed", "cause"]) == {"oom"}


def test_failures_are_apart_by_who_refused_and_keep_a_line_of_the_log(
    trials: pd.DataFrame,
) -> None:
    refused = trials[(trials["strategy"] == "cma") & (trials["outcome"] == "refused")].copy()
    refused = pd.concat([refused] * 2, ignore_index=True).iloc[:5]
    refused["errno"], refused["refused_by"] = "EBUSY", "kernel"
    refused["kernel_log"] = ["b", "b", "a", None, "a"]
    refused.loc[4, ["refused_by", "errno", "reason"]] = ["carveout", None, "no_candidate"]
    failures = list_failures(refused.assign(stage="alloc", request_bytes=1))
    found = failures.set_index("refused_by")[["count", "kernel_log"]].to_dict("index")
    assert found == {
        "kernel": {"count": 4, "kernel_log": "b"},
        "carveout": {"count": 1, "kernel_log": "a"},
    }


def test_a_gib_is_priced_from_short_lends_too(trials: pd.DataFrame) -> None:
    short = trials[trials["outcome"] == "partial"]
    assert len(short) > 0
    for row in summarize(short).to_dict("records"):
        own = short[(short[list(CELL)] == [row[name] for name in CELL]).all(axis="columns")]
        per_gib = own["lend_ns"] / own["lent_bytes"] * GIB
        assert row["lend_ns_per_gib_p50"] == pytest.approx(per_gib.median())
        assert pd.isna(row["lend_ns_p50"]), "no lend was granted in full"


def test_short_lends_are_counted_and_those_that_say_why(trials: pd.DataFrame) -> None:
    summary = summarize(trials)
    assert summary["short"].sum() == trials["explained"].notna().sum()
    assert summary["explained"].sum() == trials["explained"].fillna(value=False).sum()
    assert 0 < summary["explained"].sum() < summary["short"].sum()


def test_progress_of_a_load_is_held_against_itself_alone(trials: pd.DataFrame) -> None:
    busy = trials.assign(load_alone_steps=10, load_alone_ns=100, load_steps=30, load_ns=600)
    assert set(summarize(busy)["load_progress_share"]) == {0.5}
    assert summarize(trials)["load_progress_share"].isna().all()


def test_costs_and_what_comes_back_are_of_their_own_trials(trials: pd.DataFrame) -> None:
    cma = trials[trials["strategy"] == "cma"]
    row = describe_variants(cma).iloc[0]
    own = cma[(cma["request_bytes"] == row["request_bytes"]) & (cma["granted_bytes"] > 0)]
    good = own[(own["outcome"] == "granted") & (own["verify"] != "failed")]
    for name in ("lend_search_ns", "lend_map_ns", "content_ns", "zero_ns"):
        assert row[f"{name}_p50"] == good[name].median(), name
    assert row["kept_back_share"] == 0
    assert row["reuse_movable_share"] == 7 / 8
    assert row["reuse_movable_address_share"] == 1 / 8
    assert row["reuse_unmovable_untried_share"] == 0
    assert (row["cma_area_bytes"], row["movable_zone_bytes"]) == (GIB, 0)


def test_no_failures_make_an_empty_table(trials: pd.DataFrame, tmp_path: Path) -> None:
    good = trials[(trials["outcome"] == "granted") & (trials["verify"] == "ok")]
    write_table("failures", list_failures(good), tmp_path / "failures.parquet")
    assert read_table("failures", tmp_path / "failures.parquet").empty


def test_trials_that_came_out_the_same_to_the_bit_are_deterministic(trials: pd.DataFrame) -> None:
    """However they are numbered: a seed or an identity is no result."""
    cells = trials.groupby(list(CELL))
    same = trials.drop_duplicates(list(CELL)).drop(columns=["seed", "trial_id"])
    same = trials[[*CELL, "seed", "trial_id"]].merge(same, on=list(CELL))[list(trials.columns)]
    summary = summarize(same)
    assert (summary["distinct_results"] == 1).all()
    assert summary["deterministic"].all()
    assert summary[["success_low", "success_high", "granted_low_bytes"]].isna().all(axis=None)
    assert summary["success_rate"].isin([0, 1]).all()
    one = cells["lend_rest_ns"].head(1).index
    other = same.assign(zero_pages=same["zero_pages"].mask(same.index.isin(one), 1))
    summary = summarize(other)
    assert (summary["distinct_results"] == 2).all()
    assert not summary["deterministic"].any()
    assert summary["success_low"].notna().all()
    alone = summarize(trials.drop_duplicates(list(CELL)))
    assert (alone["distinct_results"] == 1).all()
    assert not alone["deterministic"].any()


def of_one_cell(trials: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Granted trials of one cell with as many seeds."""
    granted = trials[trials["outcome"] == "granted"].iloc[:1]
    return pd.concat([granted] * seeds, ignore_index=True).assign(seed=range(1, seeds + 1))


def test_amounts_have_an_interval_from_ten_seeds_on(trials: pd.DataFrame) -> None:
    for seeds, has_one in ((9, False), (10, True)):
        rows = of_one_cell(trials, seeds)
        rows["granted_bytes"] = rows["granted_bytes"] - rows["seed"] * MIB
        (row,) = summarize(rows.assign(outcome="partial")).to_dict("records")
        assert pd.notna(row["granted_low_bytes"]) == has_one
        if has_one:
            granted_bytes = rows["granted_bytes"].to_numpy(float)
            ends = tuple(mean_intervals(granted_bytes[None])[0])
            assert (row["granted_low_bytes"], row["granted_high_bytes"]) == ends
            assert ends[0] < row["granted_mean_bytes"] < ends[1]


def test_trials_that_share_a_host_are_counted_once(trials: pd.DataFrame) -> None:
    rows = of_one_cell(trials, 24)
    rows["lend_ns"] = rows["seed"] * 1000
    rows["granted_bytes"] = rows["granted_bytes"] - (rows["seed"] % 2) * MIB
    rows["outcome"] = rows["outcome"].mask(rows["seed"] % 2 == 1, "partial")
    hosts = rows.assign(layout=(rows["seed"] - 1) // 2 + 1)
    alone, shared = summarize(rows).iloc[0], summarize(hosts).iloc[0]
    assert (alone["hosts"], shared["hosts"]) == (1, 12)
    assert alone["success_rate"] == shared["success_rate"] == 0.5
    for row, count in ((alone, 24), (shared, 12)):
        wanted = wilson_interval(count // 2, count)
        assert (row["success_low"], row["success_high"]) == pytest.approx(tuple(wanted))
    assert pd.notna(alone["granted_low_bytes"])
    assert pd.isna(shared["granted_low_bytes"]), "each host's mean is the same"
    # Of each host one of two succeeded: the seeds 2, 4, ... 24, of which the exact places are 2, 9.
    assert (shared["lend_ns_p50_low"], shared["lend_ns_p50_high"]) == (6000, 20000)
    many = of_one_cell(trials, 400)
    many = many.assign(lend_ns=many["seed"] * 1000, layout=(many["seed"] - 1) % 200 + 1)
    row = summarize(many).iloc[0]
    assert pd.notna(row["lend_ns_p99"])
    assert pd.isna(row["lend_ns_p99_low"]), "hosts have no 99th percentile of their own"


def test_quantiles_of_cost_have_exact_intervals_where_there_are_trials_for_them(
    trials: pd.DataFrame,
) -> None:
    names = ["p50_low", "p50_high", "p99", "p99_low", "p99_high"]
    for seeds, known in ((5, []), (6, names[:2]), (100, names[:4]), (368, names)):
        rows = of_one_cell(trials, seeds)
        rows["lend_ns"] = rows["seed"] * 1000
        (row,) = summarize(rows).to_dict("records")
        assert [name for name in names if pd.notna(row[f"lend_ns_{name}"])] == known, seeds
    assert row["lend_ns_p99"] == pytest.approx(rows["lend_ns"].quantile(0.99))
    assert row["lend_ns_p99_low"] < row["lend_ns_p99"] < row["lend_ns_p99_high"] == 368_000
    (row,) = summarize(rows.assign(lend_ns=7)).to_dict("records")
    assert row["lend_ns_p99"] == 7
    assert pd.isna([row["lend_ns_p50_low"], row["lend_ns_p99_low"]]).all()


def test_a_variant_says_where_it_succeeds_least_and_how_often_most(trials: pd.DataFrame) -> None:
    summary, variants = summarize(trials), describe_variants(trials)
    for row in variants.to_dict("records"):
        key = ["strategy", "variant", "request_bytes"]
        cells = summary[(summary[key] == [row[name] for name in key]).all(axis="columns")]
        assert row["success_least_rate"] == pytest.approx(cells["success_rate"].min())
        assert row["success_most_rate"] == pytest.approx(cells["success_rate"].max())
        where = (cells["load"] == row["success_least_load"]) & (
            cells["dose_target"] == row["success_least_dose"]
        )
        assert cells[where]["success_rate"].min() == cells["success_rate"].min()
    assert variants["success_least_load"].nunique() > 1
