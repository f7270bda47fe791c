# SPDX-License-Identifier: GPL-2.0-only
"""Needs: who qualifies, why not, and who does best, by tables that the tests change."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from benchmarks.synthetic.trials import made_phases, made_trials

from carveout.claims.evidence import Evidence
from carveout.claims.needs import columns_needed, read_needs
from carveout.claims.qualify import judge_needs, told_apart
from carveout.common.errors import CarveoutError
from carveout.tables.parquet import read_table, write_table

NEED: dict[str, Any] = {
    "title": "Enough",
    "place": 1,
    "description": "Whoever asks gets something, and soon.",
    "qualifies": [
        {
            "check": {
                "table": "trials",
                "rows": 'load == "idle"',
                "where": {"granted_share": "granted_bytes / request_bytes"},
                "holds": "granted_share >= 0.5",
            },
            "broken": "too little",
            "fails": "{granted_share} of {request_bytes} with {load}, seed {seed}",
        }
    ],
    "measure": {
        "name": "lend_ns",
        "title": "time to lend",
        "table": "trials",
        "rows": 'load == "idle" and cycle == 1',
        "value": "lend_ns",
    },
}
# Made-up variants under one load, one request each.
VARIANTS = (("mem", "carveout"), ("cma", "area"), ("baseline", "ordinary_pages"))


class Runs:
    """Made-up trials of a few variants; a test says what each was granted, and how fast."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        trials = made_trials()
        pairs = pd.MultiIndex.from_frame(trials[["strategy", "variant"]])
        kept = pairs.isin(VARIANTS) & (trials["load"] == "idle") & (trials["cycle"] == 1)
        template = trials[trials["outcome"] == "granted"].iloc[0]
        rows = trials[kept].copy()
        for name in rows.columns.difference(["trial_id", "strategy", "variant", "seed"]):
            rows[name] = template[name]
        rows["granted_bytes"] = rows["lent_bytes"] = rows["request_bytes"]
        rows[["load", "scenario"]] = ["idle", "idle.quarter_then_whole.page"]
        self.trials = rows

    def of(self, strategy: str) -> "pd.Series[bool]":
        """The rows of one strategy."""
        return self.trials["strategy"] == strategy

    def set(self, rows: "pd.Series[bool]", **values: Any) -> None:
        """Change some rows: a value for all, or one for each."""
        self.trials = self.trials.astype({"message": "object", "kernel_release": "object"})
        for name, value in values.items():
            self.trials.loc[rows, name] = value

    def takes(self, strategy: str, times_ns: list[int]) -> None:
        """Set how long a strategy's lend takes with each seed."""
        parts = [f"lend_{part}_ns" for part in ("search", "migrate", "reclaim", "map", "rest")]
        self.set(self.of(strategy), **dict.fromkeys(parts, 0))
        self.set(self.of(strategy), lend_ns=times_ns, lend_rest_ns=times_ns)

    def needs(self, need: Mapping[str, Any] = NEED) -> pd.DataFrame:
        """The table, by strategy."""
        (self.folder / "enough.yaml").write_text(yaml.safe_dump(dict(need)))
        needs = read_needs([self.folder / "enough.yaml"])
        write_table("trials", self.trials, self.folder / "trials.parquet")
        write_table("phases", made_phases(), self.folder / "phases.parquet")
        found = judge_needs(needs, Evidence(self.folder, columns_needed([], needs)))
        write_table("needs", found, self.folder / "needs.parquet")
        return read_table("needs", self.folder / "needs.parquet").set_index("strategy")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    made = Runs(tmp_path)
    for strategy, time_ns in (("mem", 1000), ("cma", 2000), ("baseline", 4000)):
        made.takes(strategy, [time_ns] * 5)
    return made


def test_those_that_qualify_are_ranked(runs: Runs) -> None:
    found = runs.needs()
    assert found["qualifies"].all()
    assert found["why_not"].isna().all()
    assert found["rank"].to_dict() == {"mem": 1, "cma": 2, "baseline": 3}
    assert found["measure"].to_dict() == {"mem": 1000, "cma": 2000, "baseline": 4000}
    assert found["best"].to_dict() == {"mem": True, "cma": False, "baseline": False}
    assert pd.isna(found["tells_apart"]["mem"])
    assert found["tells_apart"][["cma", "baseline"]].all()


def test_what_is_hard_for_some_is_held_against_them_alone(runs: Runs) -> None:
    hard = runs.trials.copy()
    hard["trial_id"] += "-hard"
    hard["dose_target"] = 50.0
    slower = hard["strategy"] != "baseline"
    hard.loc[slower, ["lend_ns", "lend_rest_ns"]] = 9000
    runs.trials = pd.concat([runs.trials, hard], ignore_index=True)
    found = runs.needs()
    assert found["measure"].to_dict() == {"mem": 9000, "cma": 9000, "baseline": 4000}
    assert found["rank"]["baseline"] == 1


def test_a_dose_that_one_alone_was_asked_counts_for_none(runs: Runs) -> None:
    """A ladder tried it where its own answer changes, and nobody else."""
    quarter = int(runs.trials["request_bytes"].iloc[0]) // 4
    asked_more = runs.trials[runs.of("mem")].assign(
        dose_target=15.0,
        outcome="partial",
        largest_extent_bytes=4096,
        granted_bytes=quarter,
        lent_bytes=quarter,
    )
    asked_more["trial_id"] += "-more"
    runs.trials = pd.concat([runs.trials, asked_more], ignore_index=True)
    assert runs.needs()["qualifies"]["mem"]
    others = runs.trials[~runs.of("mem")].assign(dose_target=15.0)
    others["trial_id"] += "-more"
    runs.trials = pd.concat([runs.trials, others], ignore_index=True)
    assert not runs.needs()["qualifies"]["mem"]


def test_one_that_does_not_says_why_and_has_no_rank(runs: Runs) -> None:
    short = runs.of("mem") & (runs.trials["seed"] == 3)
    quarter = int(runs.trials["request_bytes"].iloc[0]) // 4
    runs.set(short, outcome="partial", granted_bytes=quarter, lent_bytes=quarter)
    runs.set(short, largest_extent_bytes=4096)
    found = runs.needs()
    assert not found["qualifies"]["mem"]
    said = "25 % of 256 MiB with idle, seed 3, the only failure in 5 requests"
    assert (found["broken"]["mem"], found["why_not"]["mem"]) == ("too little", said)
    assert pd.isna(found["rank"]["mem"])
    assert found["measure"]["mem"] == 1000
    assert found["rank"].to_dict() | {"mem": 0} == {"mem": 0, "cma": 1, "baseline": 2}


def test_the_worst_is_told_and_how_often(runs: Runs) -> None:
    request_bytes = int(runs.trials["request_bytes"].iloc[0])
    for seed, part in ((2, 4), (4, 8), (5, 8)):
        short = runs.of("mem") & (runs.trials["seed"] == seed)
        granted = dict.fromkeys(("granted_bytes", "lent_bytes"), request_bytes // part)
        runs.set(short, outcome="partial", largest_extent_bytes=4096, **granted)
    runs.set(runs.trials["seed"] == 4, dose_target=20.0)
    runs.set(runs.trials["seed"] == 5, dose_target=10.0)
    said = "12.5 % of 256 MiB with idle, seed 5, the worst of 3 failures in 5 requests"
    assert runs.needs()["why_not"]["mem"] == said


def test_where_all_fail_alike_it_is_told_in_how_many(runs: Runs) -> None:
    short = runs.of("mem") & (runs.trials["seed"] > 2)
    granted = dict.fromkeys(("granted_bytes", "lent_bytes"), 4096)
    runs.set(short, outcome="partial", largest_extent_bytes=4096, **granted)
    assert runs.needs()["why_not"]["mem"].endswith(", seed 3, as in 3 of 5 requests")


def test_where_there_are_several_hosts_these_count(runs: Runs) -> None:
    runs.takes("cma", [1000, 3000, 1100, 1100, 1200])
    assert runs.needs()["unit"].to_dict() == dict.fromkeys(("mem", "cma", "baseline"), "seed")
    assert runs.needs()["measure"]["cma"] == 1100
    runs.trials["layout"] = (runs.trials["seed"] - 1) % 2 + 1
    found = runs.needs()
    assert found["unit"].to_dict() == dict.fromkeys(("mem", "cma", "baseline"), "host")
    # Hosts of 1000, 1100 and 1200, and of 3000 and 1100.
    assert found["measure"]["cma"] == (1100 + 2050) / 2


def test_seven_seeds_that_share_two_hosts_tell_nothing(runs: Runs) -> None:
    fifth = runs.trials[runs.trials["seed"] == 5]
    others = [fifth.assign(seed=n, trial_id=fifth["trial_id"] + f"-{n}") for n in (6, 7)]
    runs.trials = pd.concat([runs.trials, *others], ignore_index=True)
    runs.takes("mem", [1000, 1010, 1030, 1001, 1020, 1005, 1040])
    assert runs.needs()["tells_apart"]["cma"]
    runs.trials["layout"] = runs.trials["seed"] % 2 + 1
    assert pd.isna(runs.needs()["tells_apart"]["cma"])


def test_more_may_be_better(runs: Runs) -> None:
    measure = {**NEED["measure"], "more_is_better": True}
    found = runs.needs({**NEED, "measure": measure})
    assert found["rank"].to_dict() == {"mem": 3, "cma": 2, "baseline": 1}


def test_what_is_about_as_good_is_first_too(runs: Runs) -> None:
    runs.takes("cma", [1010] * 5)
    found = runs.needs()
    assert found["rank"].to_dict() == {"mem": 1, "cma": 1, "baseline": 3}
    assert found["best"]["cma"]
    assert not found["tells_apart"]["cma"]


def test_a_seed_counts_by_its_worst_load(runs: Runs) -> None:
    other = runs.trials.assign(
        trial_id=runs.trials["trial_id"] + "-other",
        scenario="anonymous_memory.quarter_then_whole.page",
        load="anonymous_memory",
    )
    runs.trials = pd.concat([runs.trials, other], ignore_index=True)
    slow = runs.of("mem") & (runs.trials["load"] == "anonymous_memory")
    runs.set(slow, lend_ns=9000, lend_rest_ns=9000)
    measure = {**NEED["measure"], "rows": "cycle == 1"}
    found = runs.needs({**NEED, "measure": measure})
    assert found["measure"].to_dict() == {"mem": 9000, "cma": 2000, "baseline": 4000}
    assert found["rank"].to_dict() == {"mem": 3, "cma": 1, "baseline": 2}


def test_variants_are_ranked_by_what_all_of_them_have(runs: Runs) -> None:
    slow = runs.of("mem") & (runs.trials["seed"] == 5)
    runs.set(slow, lend_ns=90000, lend_rest_ns=90000)
    runs.trials = runs.trials[~(runs.of("cma") & (runs.trials["seed"] >= 4))]
    assert runs.needs()["measure"]["mem"] == 1000


def test_where_a_condition_was_not_measured_it_is_not_known(runs: Runs) -> None:
    unknown = {
        "check": {"table": "trials", "holds": "pressure_left_bytes > 0"},
        "broken": "nothing left",
        "fails": "nothing is left",
    }
    found = runs.needs({**NEED, "qualifies": [*NEED["qualifies"], unknown]})
    assert found["qualifies"].isna().all()
    assert found["why_not"]["mem"] == "not measured in any of 15 rows: pressure_left_bytes"
    assert found["rank"].isna().all()
    optional = {**unknown, "optional": True}
    assert runs.needs({**NEED, "qualifies": [*NEED["qualifies"], optional]})["qualifies"].all()


def test_what_the_kernel_cannot_run_does_not_qualify(runs: Runs) -> None:
    runs.set(runs.of("mem"), outcome="not_available", message="no mem=", kernel_release=None)
    found = runs.needs()
    assert not found["qualifies"]["mem"]
    assert found["why_not"]["mem"] == "not available: no mem="
    assert found["broken"]["mem"] == "not available"


def test_a_need_may_be_about_some_granules_alone(runs: Runs) -> None:
    assert runs.needs({**NEED, "granules": ["single"]}).empty
    assert len(runs.needs({**NEED, "granules": ["page", "2M"]})) == 3


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        # The best one is the first.
        ([[10, 10], [20, 20], [10, 10]], [None, True, False]),
        ([[10], [20]], [None, None]),
        ([[10, 12, 11], [20, 25, 22]], [None, None]),
        ([[10, 12, 11], [9, 25, 22]], [None, None]),
        (
            [[10 + seed % 3 for seed in range(8)], [20 + seed % 5 for seed in range(8)]],
            [None, True],
        ),
        ([[0, 0], [0, 0], [1, 1]], [None, False, True]),
    ],
)
def test_of_what_the_best_is_told_apart(
    costs: list[list[int]], expected: list[bool | None]
) -> None:
    assert told_apart(np.array(costs, np.float64), 0) == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"measure": {**NEED["measure"], "value": "lend"}}, "key measure.value: 'lend': unknown"),
        ({"measure": {**NEED["measure"], "rows": "seed"}}, "key measure.rows: 'seed': its value"),
        ({"granules": ["4M"]}, "key granules.0"),
        ({"qualifies": []}, "key qualifies"),
        ({"extra": 1}, "unknown key extra"),
        ({"place": 0}, "key place"),
    ],
)
def test_a_malformed_need_is_one_line(runs: Runs, changed: Mapping[str, Any], said: str) -> None:
    with pytest.raises(CarveoutError) as error:
        runs.needs({**NEED, **changed})
    assert "enough.yaml" in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("{granted}", "key shows: unknown column granted"),
        ("{seed.__class__}", "wanted a column in braces, found 'seed.__class__'"),
        ("{seed!r}", "wanted a column in braces"),
        ("{seed:>99999999}", "wanted a column in braces"),
        ("{}", "wanted a column in braces"),
        ("{seed", "expected '}'"),
    ],
)
def test_a_text_names_columns_and_nothing_else(runs: Runs, fails: str, said: str) -> None:
    condition = {**NEED["qualifies"][0], "fails": fails}
    with pytest.raises(CarveoutError) as error:
        runs.needs({**NEED, "qualifies": [condition]})
    assert said in str(error.value)
    assert "condition 1" in str(error.value)


def test_each_need_has_its_own_place(runs: Runs) -> None:
    files = [runs.folder / name for name in ("first.yaml", "second.yaml")]
    for path, place in zip(files, (2, 1), strict=True):
        path.write_text(yaml.safe_dump(NEED | {"place": place}))
    assert [need.name for need in read_needs(files)] == ["second", "first"]
    files[1].write_text(yaml.safe_dump(NEED | {"place": 2}))
    with pytest.raises(CarveoutError, match="key place: first is at place 2 already"):
        read_needs(files)


def test_the_repositorys_needs_are_judged(runs: Runs) -> None:
    needs = read_needs(sorted(Path("workflow/needs").glob("*.yaml")))
    assert len(needs) >= 5
    assert all(need.description and need.measure.title for need in needs)
    write_table("trials", made_trials(), runs.folder / "trials.parquet")
    write_table("phases", made_phases(), runs.folder / "phases.parquet")
    found = judge_needs(needs, Evidence(runs.folder, columns_needed([], needs)))
    write_table("needs", found, runs.folder / "needs.parquet")
    assert set(found["need"]) == {need.name for need in needs if not need.granules}
