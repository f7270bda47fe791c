# SPDX-License-Identifier: GPL-2.0-only
"""Two runs compared: what changed is found, what cannot be is told, and the status says so."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_metadata, made_phases, made_runs, made_trials

from carveout.common.errors import CarveoutError
from carveout.compare import forest
from carveout.compare.comparison import (
    CONTRADICTION,
    NOTHING_WORSE,
    WORSE,
    Comparison,
    compare,
)
from carveout.compare.mail import mail_text
from carveout.compare.write import OUTPUTS
from carveout.tables.parquet import read_table, write_table
from carveout.tables.rules import LEND_PARTS
from carveout.wording.labels import Labels
from carveout.wording.plain import MAIL_WIDTH

LABELS = Labels.read(sorted(Path("workflow/strategies").glob("*/strategy.yaml")))
SEEDS = 12
FEW = ["mem", "cma", "hugetlbfs"]
KERNEL = "debian-6.12-arm64"
TREE = {"kernel": "my-tree", "kernel_version": "tree-01", "kernel_pinned": "tree-01"}
COSTS = ["lend_ns", *(f"lend_{part}_ns" for part in LEND_PARTS)]

QUANTITY_OF = {
    "memmap_lent_bytes": "memmap_bytes_per_gib",
    "regained_bytes": "regained_bytes",
    "pages_migrated": "pages_migrated",
}

Write = Callable[..., Path]


def trials(seeds: int = SEEDS) -> pd.DataFrame:
    """Trials of a few variants on one kernel, of hosts with one CPU."""
    made = made_trials(seeds)
    return made[made["strategy"].isin(FEW)].reset_index(drop=True).assign(cpus=1)


def of_tree(before: pd.DataFrame) -> pd.DataFrame:
    """The same trials on another kernel, which therefore are other trials."""
    return before.assign(trial_id="tree-" + before["trial_id"], **TREE)


def slower(before: pd.DataFrame, strategy: str, factor: int = 2) -> pd.DataFrame:
    """Trials whose lends of one strategy take longer."""
    rows = before["strategy"] == strategy
    return before.assign(**{name: before[name].mask(rows, before[name] * factor) for name in COSTS})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run's tables into a results folder of a name."""

    def write_run(name: str, table: pd.DataFrame, **metadata: str) -> Path:
        folder = tmp_path / name
        about = made_metadata() | {"qemu_version": "7.2.22"} | metadata
        write_table("trials", table, folder / "tables/trials.parquet", about)
        return folder

    return write_run


def mail(found: Comparison) -> str:
    """The mail, no line of which is too wide."""
    text = mail_text(found, LABELS, "snakemake compare --config before=a after='my run'")
    assert [line for line in text.splitlines() if len(line) > MAIL_WIDTH] == []
    assert "snakemake compare --config before=a 'after=my run'" in text
    return text


def of_quantity(found: Comparison, quantity: str, **where: object) -> dict[str, Any]:
    """The first row of a quantity."""
    rows = found.changes[found.changes["quantity"] == quantity]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return {str(name): value for name, value in rows.iloc[0].items()}


def test_the_same_tables_in_two_folders_have_no_changes(write: Write) -> None:
    found = compare(write("a", trials()), write("b", trials()))
    assert found.status == NOTHING_WORSE
    assert found.verdict == "nothing changed"
    assert found.contradictions.same == trials()["trial_id"].nunique()
    assert set(found.changes["verdict"]) <= {"equal", "no_pairs"}
    text = mail(found)
    assert "so no variant differs in anything" in text
    assert "these cannot differ" in text
    assert "Worse" not in text.replace("Worse is:", "")
    figure = forest.draw(found.changes, LABELS)
    assert "Nothing differs" in figure.texts[0].get_text()


def test_a_regression_is_found_with_its_interval(write: Write) -> None:
    noise = np.random.default_rng(1).uniform(0.9, 1.1, len(trials()))
    after = slower(of_tree(trials()), "cma").assign(
        give_back_ns=(trials()["give_back_ns"] * noise).round().astype("Int64")
    )
    found = compare(write("a", trials()), write("b", after))
    assert found.partners == [(KERNEL, "my-tree")]
    assert found.status == WORSE
    worse = found.changes[found.changes["verdict"] == "worse"]
    assert set(worse["strategy"]) == {"cma"}
    assert set(worse["quantity"]) == {"lend_ns_per_gib"}
    row = of_quantity(found, "lend_ns_per_gib", strategy="cma", load="idle", cycle=1)
    assert row["relative_change"] == pytest.approx(1)
    assert 0 < row["difference_low"] < row["difference"] < row["difference_high"]
    # Costs differ from seed to seed, but each one doubles.
    assert [row[f"relative_{end}"] for end in ("least", "most")] == pytest.approx([1, 1])
    noisy = of_quantity(found, "give_back_ns_per_gib", strategy="cma", load="idle", cycle=1)
    ends = [noisy[f"relative_{end}"] for end in ("least", "low", "high", "most")]
    assert ends == sorted(ends)
    assert ends[1] < noisy["relative_change"] < ends[2]
    assert row["seeds"] == row["pairs"] == row["pairs_up"] >= 10
    text = mail(found)
    assert "CMA area" in text
    assert "+100.0%" in text
    assert "lend_ns_per_gib" in text
    assert f"{KERNEL} (6.12.107-1)" in text
    assert "my-tree (tree-01)" in text


def test_what_got_better_is_no_regression(write: Write) -> None:
    found = compare(write("a", slower(of_tree(trials()), "cma")), write("b", trials()))
    assert found.status == NOTHING_WORSE
    assert found.count("better") > 0 == found.count("worse")
    assert "Better" in mail(found)


@pytest.mark.parametrize(
    ("column", "verdict"),
    [
        ("memmap_lent_bytes", "worse"),
        ("regained_bytes", "better"),
        ("pages_migrated", "changed"),
    ],
)
def test_what_does_not_vary_with_the_seed_needs_no_test(
    write: Write, column: str, verdict: str
) -> None:
    """Two seeds are enough, and there is no p-value: the difference is what it is."""
    before = trials(2)
    before = before.assign(**{column: before[column].where(before[column].isna(), 4096)})
    after = of_tree(before).assign(**{column: before[column] * 2})
    found = compare(write("a", before), write("b", after))
    rows = found.changes[found.changes["verdict"] == verdict]
    assert len(rows) > 10
    assert set(rows["quantity"]) == {QUANTITY_OF[column]}
    assert rows["exact"].all()
    assert rows[["p_value", "p_corrected", "difference_low"]].isna().all(axis=None)
    assert found.status == (WORSE if verdict == "worse" else NOTHING_WORSE)
    assert "the same in each of 2 seeds" in " ".join(mail(found).split())


def test_few_seeds_tell_nothing_and_it_is_said_how_many_would(write: Write) -> None:
    found = compare(write("a", trials(3)), write("b", slower(of_tree(trials(3)), "cma")))
    assert found.status == NOTHING_WORSE
    untold = found.changes[found.changes["verdict"] == "cannot_tell"]
    assert set(untold["strategy"]) == {"cma"}
    assert (untold["seeds_needed"] > 6).all()
    assert untold[["difference_low", "difference_high"]].isna().all(axis=None)
    needed = int(untold["seeds_needed"].min())
    text = " ".join(mail(found).split())
    assert f"{needed} seeds would tell the first of them" in text
    enough = compare(write("c", trials(needed)), write("d", slower(of_tree(trials(needed)), "cma")))
    assert enough.status == WORSE


def test_the_same_trial_with_another_result_is_a_contradiction(write: Write) -> None:
    after = trials()
    edited = (after["strategy"] == "cma") & (after["seed"] == 3) & (after["load"] == "idle")
    after["give_back_ns"] = after["give_back_ns"].mask(edited, after["give_back_ns"] + 1)
    found = compare(write("a", trials()), write("b", after))
    assert found.status == CONTRADICTION
    assert found.contradictions.trials == 1
    (trial_id,) = found.contradictions.found["trial_id"].unique()
    assert trial_id == after.loc[edited, "trial_id"].iloc[0]
    assert set(found.contradictions.found["column"]) == {"give_back_ns"}
    text = mail(found)
    assert "CONTRADICTION: 1 trials have two results" in text
    assert trial_id.replace("-", "") in "".join(text.split()).replace("-", "")


def test_a_lost_cycle_and_another_census_are_contradictions(write: Write) -> None:
    lost = trials()
    lost = lost.drop(lost.index[(lost["seed"] == 1) & (lost["cycle"] == 2)][:1])
    found = compare(write("a", trials()), write("b", lost))
    assert found.contradictions.found[["column", "before", "after"]].to_numpy().tolist() == [
        ["cycle", "there", "missing"]
    ]
    sides = [write("c", trials()), write("d", trials())]
    for folder, more in zip(sides, (0, 1), strict=True):
        phases = made_phases()
        phases = phases.assign(blocked_pageblocks=phases["blocked_pageblocks"] + more)
        write_table("phases", phases, folder / "tables/phases.parquet")
    found = compare(sides[0], sides[1])
    assert set(found.contradictions.found["table"]) == {"phases"}
    assert set(found.contradictions.found["column"]) == {"blocked_pageblocks"}
    assert found.status == CONTRADICTION


def test_names_of_a_config_are_no_results(write: Write) -> None:
    """The same trials, whatever the config calls its kernel and however many seeds it asks for."""
    after = trials().assign(**TREE, trials_asked=99, replication="width")
    found = compare(write("a", trials()), write("b", after))
    assert found.status == NOTHING_WORSE
    assert found.verdict == "nothing changed"


def test_what_may_differ_between_machines_is_no_contradiction(write: Write) -> None:
    after = trials()
    after["pages_migrated"] += 1
    found = compare(write("a", trials().assign(cpus=2)), write("b", after.assign(cpus=2)))
    assert found.contradictions.trials == 0
    assert found.contradictions.excused > 0
    assert "differ and may" in mail(found)


def test_a_variant_that_is_not_available_any_more_is_worse(write: Write) -> None:
    after = of_tree(trials())
    gone = after["strategy"] == "cma"
    nothing = {"lent_bytes": 0, "granted_bytes": 0, "extents": 0, "largest_extent_bytes": 0}
    facts = [*TREE, "trial_id", "ram_bytes", "lendable_bytes", "cpus", "strategy", "variant"]
    facts += ["scenario", "load", "dose_target", "requests", "question", "granule", "seed"]
    facts += ["layout", "trials_asked", "cycle", "request_bytes", "reserve_bytes"]
    away = after.loc[gone, facts].assign(
        outcome="not_available", message="the kernel has no CMA", verify="not_checked", **nothing
    )
    found = compare(
        write("a", trials()),
        write("b", pd.concat([after[~gone], away.reindex(columns=after.columns)])),
    )
    assert found.status == WORSE
    assert "1 variant not available any more" in found.verdict
    assert "the kernel has no CMA" in mail(found)


def test_seeds_that_only_one_run_has_are_left_out_and_told(write: Write) -> None:
    before, after = trials(), of_tree(trials())
    found = compare(
        write("a", before[before["seed"] <= 8]),
        write("b", after[after["seed"] > 2]),
    )
    assert found.changes["seeds"].max() == 6
    assert found.coverage.unpaired[0] == (before["seed"] <= 2).sum()
    text = mail(found)
    assert "seed only before: 1, 2" in text
    assert "seed only after: 9, 10, 11, 12" in text


def test_runs_that_were_set_up_otherwise_are_not_paired(write: Write) -> None:
    after = of_tree(trials())
    after["reserve_bytes"] = after["reserve_bytes"].mask(after["strategy"] == "cma", 0)
    found = compare(write("a", trials()), write("b", after))
    assert "cma" not in set(found.changes.loc[found.changes["pairs"] > 0, "strategy"])
    assert "reserve_bytes: 33554432 before, 0 after" in mail(found)


def test_another_emulator_is_told(write: Write) -> None:
    found = compare(write("a", trials(2)), write("b", of_tree(trials(2)), qemu_version="10.0.2"))
    assert "QEMU: 7.2.22 before, 10.0.2 after" in mail(found)


def test_partners_are_those_of_one_name_or_those_that_are_named(write: Write) -> None:
    old, new = trials(2), of_tree(trials(2))
    other = new.assign(kernel="other", trial_id=new["trial_id"] + "-other")
    both, third = write("a", pd.concat([old, new])), write("b", pd.concat([new, other]))
    assert compare(both, third).partners == [(KERNEL, "other"), ("my-tree", "my-tree")]
    assert compare(both, third, [(KERNEL, "my-tree")]).partners == [(KERNEL, "my-tree")]
    more = other.assign(kernel="more", trial_id=new["trial_id"] + "-more")
    several = write("c", pd.concat([other, more]))
    with pytest.raises(CarveoutError, match="say partners=BEFORE/AFTER"):
        compare(both, several)
    with pytest.raises(CarveoutError, match=r"wanted a kernel of after=.*, found none"):
        compare(both, several, [(KERNEL, "none")])


def test_runs_with_nothing_in_common_are_refused(write: Write) -> None:
    before, after = trials(), of_tree(trials())
    with pytest.raises(CarveoutError, match=r"found none common.*: seed 1, 2, 3 against 4, 5, 6"):
        compare(
            write("a", before[before["seed"] <= 3]),
            write("b", after[after["seed"].isin([4, 5, 6])]),
        )


def test_folders_without_tables_are_refused(write: Write, tmp_path: Path) -> None:
    good = write("a", trials(2))
    with pytest.raises(CarveoutError, match="found no folder"):
        compare(good, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CarveoutError, match=r"wanted trials\.parquet"):
        compare(tmp_path / "empty", good)
    with pytest.raises(CarveoutError, match="found the same folder"):
        compare(good, good / "tables")


def run(*args: object) -> subprocess.CompletedProcess[str]:
    """Runs the program."""
    return subprocess.run(
        [sys.executable, "-m", "carveout.compare.write", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": "workflow"},
    )


def test_the_program_writes_all_and_ends_with_the_status(write: Write, tmp_path: Path) -> None:
    sides = write("a", trials()), write("b", slower(of_tree(trials()), "cma"))
    write_table("runs", made_runs(), sides[0] / "tables/runs.parquet", {"carveout_revision": "v1"})
    done = run(*sides, "--to", tmp_path / "to")
    assert done.returncode == WORSE, done.stderr
    assert done.stdout == (tmp_path / "to/changes.txt").read_text(encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == sorted(OUTPUTS)
    changes = read_table("changes", tmp_path / "to/changes.parquet")
    assert (changes["verdict"] == "worse").any()
    # Where lines end depends on how long the folders' names are.
    assert "carveout v1" in " ".join(done.stdout.split())
    again = run(*sides, "--to", tmp_path / "again", "--only-write")
    assert (again.returncode, again.stdout) == (0, "")
    for name in set(OUTPUTS) - {"changes.txt"}:  # which has the folders' names
        assert (tmp_path / "to" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert (tmp_path / "again/status").read_text().startswith(f"{WORSE} ")


def test_the_program_says_an_error_in_one_line(write: Write, tmp_path: Path) -> None:
    good, old = write("a", trials(2)), write("b", trials(2), tables_version="1")
    done = run(good, old, "--to", tmp_path / "to")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "found 1" in done.stderr
    assert not (tmp_path / "to").exists()
