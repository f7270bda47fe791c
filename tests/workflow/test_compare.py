# SPDX-License-Identifier: GPL-2.0-only
"""`snakemake compare`: from two folders of made tables, without a config of theirs or a boot."""

from pathlib import Path

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_metadata, made_trials

from carveout.compare.comparison import CONTRADICTION, NOTHING_WORSE, WORSE
from carveout.compare.write import OUTPUTS
from carveout.tables.parquet import write_table
from carveout.tables.rules import LEND_PARTS
from tests.conftest import Checkout, copy_checkout

COSTS = ["lend_ns", *(f"lend_{part}_ns" for part in LEND_PARTS)]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which nothing was run, and whose own config cannot be read."""
    made = copy_checkout(tmp_path_factory.mktemp("compare") / "checkout")
    (made.path / "config/config.yaml").write_text("seedz: 3\n")
    before = made_trials(12).assign(cpus=1)
    before = before[before["strategy"].isin(["mem", "cma"])]
    patched = before.assign(kernel="patched", trial_id="patched-" + before["trial_id"])
    slower = patched.assign(**{name: patched[name] * 3 for name in COSTS})
    edited = before.assign(give_back_ns=before["give_back_ns"] + 1)
    for name, trials in {
        "before": before,
        "same": patched,
        "slower": slower,
        "edited": edited,
    }.items():
        write(made.path / name, trials)
    return made


def write(folder: Path, trials: pd.DataFrame) -> None:
    write_table("trials", trials, folder / "tables/trials.parquet", made_metadata())


@pytest.mark.parametrize(
    ("after", "status", "said"),
    [
        ("same", NOTHING_WORSE, "carveout: nothing changed"),
        ("slower", WORSE, "comparisons got worse"),
        ("edited", CONTRADICTION, "trials contradict each other"),
    ],
)
def test_the_exit_status_is_the_verdict(
    fresh: Checkout, after: str, status: int, said: str
) -> None:
    """Of each call: of the second one, too, which has nothing left to make."""
    command = ["compare", "--config", "before=before", f"after={after}", f"to=out/{after}"]
    for _ in range(2):
        done = fresh.snakemake(*command, fails=bool(status))
        assert done.returncode == status, done.stderr
        assert said in done.stderr
        assert done.stdout == (fresh.path / f"out/{after}/changes.txt").read_text()
        assert {path.name for path in (fresh.path / f"out/{after}").iterdir()} >= set(OUTPUTS)


def test_tables_that_changed_are_compared_again(fresh: Checkout) -> None:
    slower = fresh.clone(fresh.path.parent / "clone")
    command = ["compare", "--config", "before=before/tables", "after=same"]
    slower.snakemake(*command)
    (slower.path / "same/tables/trials.parquet").write_bytes(
        (slower.path / "slower/tables/trials.parquet").read_bytes()
    )
    done = slower.snakemake(*command, fails=True)
    assert done.returncode == WORSE
    assert (slower.path / "results/compare/changes.svg").exists()


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (["before=before"], "wanted both before=DIR and after=DIR, found no after"),
        (["before=before", "after=nowhere"], "after=nowhere: wanted a results folder"),
        (["before=before", "after=config"], "after=config: wanted trials.parquet"),
        (["before=before", "after=before/tables"], "found the same folder"),
        (["before=before", "after={x}"], "after: wanted the path of a folder, found: key (top"),
        (["before=before", "after=same", "seeds=3"], "unknown key seeds of a comparison"),
        (["before=before", "after=same", "partners=a/b"], "partners=a/b: wanted a kernel"),
    ],
)
def test_a_mistake_is_said_in_one_line(fresh: Checkout, sides: list[str], said: str) -> None:
    done = fresh.snakemake("compare", "--config", *sides, "to=wrong", fails=True)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("carveout: ")]
    assert said in line
    assert "Traceback" not in done.stderr
