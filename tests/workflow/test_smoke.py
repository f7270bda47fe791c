# SPDX-License-Identifier: GPL-2.0-only
"""The smoke config as a whole: it repeats to the bit, and reruns what changed and no more."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pyarrow.compute  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
import yaml

from carveout.records.lines import read_line, sealed_lines
from tests.conftest import Checkout, Run, copy_checkout, snakemake_command

SMOKE = ("--configfile", "config/smoke.yaml", "--config", "results=first")


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def jobs_to_run(checkout: Checkout, *args: str) -> dict[str, int]:
    """Rule and count of every job that a dry run would make."""
    done = checkout.snakemake("--dry-run", *args, *SMOKE)
    rows = re.findall(r"^(\w+)\s+(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in rows if rule != "total"}


def assert_same_trials(smoke: Run, other: Run) -> None:
    """Each trial and each census of another run is, to the byte, that of the smoke run."""
    made = sorted(
        path.relative_to(other.results) for path in other.results.glob("trials/**/*.jsonl")
    )
    assert made
    for path in made:
        assert sha256_of(smoke.results / path) == sha256_of(other.results / path), path
    for name in ("trials", "phases"):
        table = other.table(name)
        first = smoke.table(name)
        first = first[first["trial_id"].isin(set(table["trial_id"]))].reset_index(drop=True)
        pd.testing.assert_frame_equal(first, table, check_exact=True)


def part_of_smoke(checkout: Checkout, name: str, **changes: object) -> Run:
    """A config with some cells of the smoke config, in a folder of results of their own."""
    config = yaml.safe_load((checkout.path / "config/smoke.yaml").read_text())
    config |= {"results": name, **changes}
    del config["figures"]
    (checkout.path / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return Run(checkout, checkout.path / name)


def test_forks_and_cold_boots_give_the_same_bytes(smoke: Run) -> None:
    """Of three ways; `make test-long` shows it of all."""
    strategies = {
        "alloc_contig_range": ["whole_memory"],
        "hugetlbfs": ["2M_boot"],
        "virtio-mem": ["online_movable"],
    }
    loads = {"anonymous_memory": [50]}
    cold = part_of_smoke(smoke.checkout, "cold", boot="cold", strategies=strategies, loads=loads)
    smoke.checkout.snakemake("collect_trials", "--configfile", "cold.yaml")
    assert set(cold.table("runs")["process"]) == {"trial"}
    assert set(cold.table("trials")["strategy"]) == strategies.keys()
    assert_same_trials(smoke, cold)


def test_one_core_another_order_and_an_interruption_give_the_same_bytes(smoke: Run) -> None:
    strategies = {"virtio-mem": ["online_movable"], "cma": ["area"], "baseline": ["ordinary_pages"]}
    loads = {"unmovable_pages": [10], "anonymous_memory": [50]}
    second = part_of_smoke(smoke.checkout, "second", strategies=strategies, loads=loads)
    args = ("collect_trials", "--configfile", "second.yaml")
    interrupt(smoke.checkout, "second", *args)
    assert list(second.results.glob("trials/**/*.jsonl")), "some cells were done"
    assert list(second.results.glob("journals/**/*.jsonl")), "one was half done"
    smoke.checkout.snakemake("--rerun-incomplete", *args, cores=1)
    assert_same_trials(smoke, second)


def interrupt(checkout: Checkout, results: str, *args: str) -> None:
    """Runs on two cores and ends all of it, as Ctrl-C does, in the middle of a cell.

    Whoever runs the tests may ignore SIGINT (`nohup`, some CI), and children inherit that: here
    it is always ignored, so that what undoes it for the run is tested everywhere.
    """
    handled = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            ["env", "--default-signal=INT", *snakemake_command(*args)],
            cwd=checkout.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, handled)
    progress = checkout.path / results / "progress"
    while process.poll() is None:
        # An odd number: with two seeds a cell, one cell has one of its trials.
        trials = progress.read_text().count("trial ") if progress.exists() else 0
        if trials > 4 and trials % 2:
            os.killpg(process.pid, signal.SIGINT)
            break
        time.sleep(0.1)
    assert process.wait() != 0


def test_every_strategy_variant_is_in_the_tables_and_the_report(smoke: Run) -> None:
    trials = smoke.table("trials")
    report = (smoke.results / "report.html").read_text()
    assert trials["strategy"].nunique() >= 6
    variants = trials.groupby(["strategy", "variant"]).size()
    assert (variants == variants.iloc[0]).all(), "each variant runs the same trials"
    for strategy, variant in variants.index:
        description = smoke.checkout.path / f"workflow/strategies/{strategy}/strategy.yaml"
        title = yaml.safe_load(description.read_text())["variants"][variant]["title"]
        assert title in report, f"{strategy} {variant} is not in the report"


@pytest.fixture
def clone(smoke: Run, tmp_path: Path) -> Checkout:
    """The finished run, copied so that every file is new."""
    return smoke.checkout.clone(tmp_path / "clone")


def test_a_new_clone_reruns_nothing(clone: Checkout) -> None:
    assert jobs_to_run(clone) == {}


def test_a_touched_file_reruns_nothing(clone: Checkout) -> None:
    for path in [*clone.path.glob("workflow/**/*"), *clone.path.glob("config/*")]:
        path.touch()
    assert jobs_to_run(clone) == {}


def edit(clone: Checkout, module: str, addition: str = "\nEDITED = True\n") -> None:
    """Adds a line to a module of the package."""
    path = clone.path / "workflow/carveout" / f"{module}.py"
    path.write_text(path.read_text() + addition)


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        *((f"boots/{name}", set[str]()) for name in ("run", "journal", "progress")),
        ("figures/success", {"draw_figures"}),
        ("report/mail", {"write_report"}),
        ("findings/sentences", {"write_report"}),
        ("statistics/summarize", {"summarize_trials"}),
    ],
)
def test_a_changed_module_reruns_what_depends_on_it(
    clone: Checkout, module: str, wanted: set[str]
) -> None:
    edit(clone, module)
    made = set(jobs_to_run(clone)) - {"all"}
    assert made >= wanted
    assert not any(rule.startswith(("boot_", "collect_", "take_")) for rule in made)
    assert bool(made) == bool(wanted)


def test_changed_wording_reruns_nothing(clone: Checkout) -> None:
    for path in clone.path.glob("workflow/carveout/*/*.py"):
        path.write_text(path.read_text() + '\n"""Another word."""\n# And a comment.\n')
    assert jobs_to_run(clone) == {}


def test_a_cell_that_runs_again_makes_no_trial_that_it_has(clone: Checkout) -> None:
    edit(clone, "initramfs/pack")
    kinds = ("trials", "runs")
    trials_folder = clone.path / "first/trials/debian-6.12/1GiB/baseline/ordinary_pages"
    (cell_path,) = trials_folder.glob("idle.*.jsonl")
    cell = str(cell_path.relative_to(clone.path / "first/trials"))
    before = [(clone.path / "first" / kind / cell).read_bytes() for kind in kinds]
    done = clone.snakemake(f"first/trials/{cell}", *SMOKE)
    assert "boot_baseline" in done.stdout + done.stderr
    assert "carveout: 0/0 trials" in done.stderr
    assert [(clone.path / "first" / kind / cell).read_bytes() for kind in kinds] == before

    done = clone.snakemake(f"first/trials/{cell}", *SMOKE, "seeds=1")
    assert "carveout: 0/0 trials" in done.stderr
    runs = (clone.path / "first/runs" / cell).read_text().splitlines()
    assert [json.loads(line)["process"] for line in runs] == ["boot", "trial"]

    done = clone.snakemake(f"first/trials/{cell}", *SMOKE, "seeds=3")
    assert "carveout: 1/1 trials" in done.stderr
    trials = (clone.path / "first/trials" / cell).read_bytes().splitlines()
    assert [json.loads(line)["seed"] for line in trials] == [1, 2, 3]
    assert [json.loads(line)["records"] for line in trials[:2]] == [
        json.loads(line)["records"] for line in before[0].splitlines()
    ]


def test_a_cell_that_failed_after_an_edit_is_run_again(clone: Checkout) -> None:
    script = clone.path / "workflow/strategies/mem/guest.sh"
    working = script.read_text()
    (clone.path / "workflow/strategies/mem/broken.c").write_text("int main(void) { return }\n")
    clone.snakemake(*SMOKE, fails=True)
    assert jobs_to_run(clone)["pack_strategy_overlay"] == 1, "it is not forgotten"
    (clone.path / "workflow/strategies/mem/broken.c").unlink()
    script.write_text(working + "\nlend() { false; }\n")
    clone.snakemake("collect_trials", *SMOKE)
    trials = Run(clone, clone.path / "first").table("trials")
    assert set(trials.loc[trials["strategy"] == "mem", "cause"]) == {"error"}
    assert trials.loc[trials["strategy"] != "mem", "cause"].isna().all()


@pytest.mark.parametrize(
    "name",
    [
        *("lock.sha256", "lock.yaml", "qemu.json", "kernels/debian-6.12/kernel.json"),
        *("guest/busybox.json", "guest/debian-6.12/base.cpio"),
        "guest/debian-6.12/loads/idle.sha256",
    ],
)
def test_what_a_failed_job_left_out_is_made_by_the_next_run(clone: Checkout, name: str) -> None:
    (clone.path / "first" / name).unlink()
    assert jobs_to_run(clone) != {}


def test_exact_pins_that_are_gone_stop_every_run(clone: Checkout) -> None:
    pins = clone.path / "config/kernels.yaml"
    content = yaml.safe_load(pins.read_text())
    image = content["kernels"]["debian-6.12"]["packages"]["image"]
    image |= {"version": "6.12.1-1", "sha256": "ab" * 32}
    pins.write_text(yaml.safe_dump(content, sort_keys=False))
    for _ in range(2):
        done = clone.snakemake(*SMOKE, "exact_pins=True", fails=True)
        assert "key exact_pins of the config asks for exactly the pins" in done.stderr
    done = clone.snakemake("collect_trials", *SMOKE)
    assert "kernels.debian-6.12: stays with " in done.stderr
    cells = len(list((clone.path / "first/trials").glob("**/*.jsonl")))
    assert f"carveout: 0/0 trials, {cells}/{cells} cells" in done.stderr


def test_a_changed_engine_makes_every_trial_anew(clone: Checkout) -> None:
    edit(clone, "guests/engines")
    jobs = jobs_to_run(clone)
    assert len([rule for rule in jobs if rule.startswith("boot_")]) >= 6
    assert not any(rule.startswith(("take_", "pack_", "build_")) for rule in jobs)


def test_a_changed_strategy_reruns_its_own_cells(clone: Checkout) -> None:
    script = clone.path / "workflow/strategies/cma/guest.sh"
    script.write_text(script.read_text() + "\n# one line more\n")
    jobs = jobs_to_run(clone)
    assert jobs.pop("pack_strategy_overlay") == 1
    assert {rule for rule in jobs if rule.startswith(("boot_", "pack_"))} == {"boot_cma"}


def test_a_changed_load_reruns_its_own_cells(clone: Checkout) -> None:
    script = clone.path / "workflow/loads/unmovable_pages/guest.sh"
    script.write_text(script.read_text() + "\n# one line more\n")
    boots = {r: n for r, n in jobs_to_run(clone).items() if r.startswith("boot_")}
    everything = {r: n for r, n in jobs_to_run(clone, "--forceall").items() if r in boots}
    assert len(boots) >= 6
    loads = yaml.safe_load((clone.path / "config/smoke.yaml").read_text())["loads"]
    assert {rule: len(loads) * count for rule, count in boots.items()} == everything


def test_a_changed_guest_library_reruns_every_boot_and_builds_nothing(clone: Checkout) -> None:
    library = clone.path / "workflow/guest/lib/steps.sh"
    library.write_text(library.read_text() + "\n# one line more\n")
    jobs = jobs_to_run(clone)
    assert jobs["pack_base_image"] == 1
    assert not any(rule.startswith("take_") for rule in jobs)
    assert "pack_strategy_overlay" not in jobs
    assert len([rule for rule in jobs if rule.startswith("boot_")]) >= 6


@pytest.mark.parametrize("target", ["figures", "report"])
def test_figures_and_report_are_redrawn_from_the_tables_alone(clone: Checkout, target: str) -> None:
    for folder in ("trials", "runs", "guest", "kernels", "figures"):
        shutil.rmtree(clone.path / "first" / folder, ignore_errors=True)
    (clone.path / "first" / "report.html").unlink()
    done = clone.snakemake(target, *SMOKE)
    assert "boot_" not in done.stderr
    drawn = list((clone.path / "first" / "figures").glob("*.svg"))
    assert len(drawn) >= 4
    assert (clone.path / "first" / "report.html").exists() == (target == "report")


@pytest.mark.parametrize("target", ["report", "all"])
def test_a_table_that_was_edited_is_refused(clone: Checkout, target: str) -> None:
    path = clone.path / "first/tables/trials.parquet"
    rows = pyarrow.parquet.read_table(path)
    place = rows.column_names.index("give_back_ns")
    more = pyarrow.compute.add(rows["give_back_ns"], 1)
    pyarrow.parquet.write_table(rows.set_column(place, rows.schema.field(place), more), path)
    done = clone.snakemake(target, *SMOKE, fails=True)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("carveout: ")]
    assert "first/tables/trials.parquet: wanted the table as carveout wrote it" in line
    assert "Traceback" not in done.stderr


def test_a_figure_is_drawn_alone_by_its_name_as_it_is_wanted(clone: Checkout) -> None:
    for folder in ("trials", "runs", "guest", "kernels", "figures"):
        shutil.rmtree(clone.path / "first" / folder, ignore_errors=True)
    only = "figures={only: {strategies: [cma, mem/carve_out], loads: [idle]}, width: column}"
    done = clone.snakemake("first/figures/success.svg", *SMOKE, only)
    assert "boot_" not in done.stderr
    names = sorted(path.name for path in (clone.path / "first" / "figures").iterdir())
    assert names == ["success.png", "success.svg"]


def test_a_figure_without_data_says_why(clone: Checkout) -> None:
    done = clone.snakemake("first/figures/kernels.svg", *SMOKE, fails=True)
    assert (
        "carveout: wanted several kernels for the figure kernels, found debian-6.12" in done.stderr
    )


def give_part(smoke: Run, folder: Path, strategies: set[str], seeds: set[int]) -> None:
    """What a part of the smoke run would have made, of some strategies, or of some seeds of each.

    All that `docs/merging.md` wants of a folder, and nothing else.
    """
    for kind in ("lock.yaml", "qemu.json", "kernels/*/kernel.json", "guest/*/base.sha256"):
        for path in smoke.results.glob(kind):
            target = folder / path.relative_to(smoke.results)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for path in [
        p for kind in ("trials", "runs") for p in smoke.results.glob(f"{kind}/**/*.jsonl")
    ]:
        of_strategy = path.relative_to(smoke.results).parts[3] in strategies
        kept = [
            line
            for line in path.read_text().splitlines(keepends=True)
            if of_strategy or json.loads(line)["seed"] in seeds | {None}
        ]
        target = folder / path.relative_to(smoke.results)
        if any(json.loads(line)["seed"] for line in kept):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("".join(kept))


def test_parts_of_a_study_merge_to_the_bytes_of_the_whole(smoke: Run, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / "a checkout")
    shutil.copy(smoke.checkout.path / "config/smoke.yaml", checkout.path / "config")
    names = {path.name for path in smoke.results.glob("trials/*/*/*")}
    give_part(smoke, checkout.path / "site a", {"cma", "mem", "baseline"}, {2})
    give_part(smoke, checkout.path / "site b", names - {"cma", "mem"}, {1})
    args = ("--configfile", "config/smoke.yaml", "--config", 'from=["site a", "site b"]')
    done = checkout.snakemake("collect_trials", *args, "results=merged")
    assert "boot_" not in done.stderr
    assert re.search(
        r"carveout: merged \d+ trials: \d+ of site a, \d+ of site b; \d+ more", done.stderr
    )
    for name in ("trials", "phases"):
        merged = checkout.path / f"merged/tables/{name}.parquet"
        assert sha256_of(merged) == sha256_of(smoke.results / f"tables/{name}.parquet")

    path = next((checkout.path / "site b/trials").glob("*/*/baseline/*/*.jsonl"))
    first, *others = map(read_line, path.read_bytes().splitlines())
    edited = json.loads(re.sub(r'"lend_ns": (\d)', r'"lend_ns": 9\1', json.dumps(first), count=1))
    path.write_text(sealed_lines([edited, *others]))
    done = checkout.snakemake("merge", *args, "results=contradictory", fails=True)
    assert done.returncode == 4
    lines = {line for line in done.stderr.splitlines() if line.startswith("carveout: ")}
    (line,) = lines
    assert line.startswith("carveout: contradiction: trial ")
    assert "is not the same in site a and site b: records[" in line
    assert not (checkout.path / "contradictory/tables").exists()
    assert (checkout.path / "contradictory/contradictions.csv").exists()
