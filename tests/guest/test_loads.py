# SPDX-License-Identifier: GPL-2.0-only
"""What loads really do to a host: they take what they hold, and reach what they are to reach."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import Checkout, Run

Trial = dict[str, Any]

MIB = 2**20
ANONYMOUS = ("anonymous_memory", "anonymous_pages")
DOSES = (5, 25, 65)
# In which accounts of the census a load's memory stands, and doses that the host can carry.
STANDS_IN: dict[str, tuple[tuple[str, ...], list[int]]] = {
    "tmpfs": (("movable",), [5, 40]),
    "pinned_pages": (("unmovable",), [5, 40]),
    "page_tables": (("page_tables",), [1, 4]),
    "slab": (("reclaimable", "unmovable"), [1, 3]),
    "mix": (("movable", "reclaimable", "unmovable"), [5, 40]),
}
CONFIG = {
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "128MiB",
    "requests": {"once": ["32MiB"]},
    # The host with the least memory for the load: 128 MiB are hidden.
    "strategies": {"mem": ["carve_out"]},
    "seeds": 2,
}


def trials_of(checkout: Checkout, name: str, loads: Mapping[str, list[int]]) -> list[Trial]:
    """What the runner wrote of the trials of some loads."""
    (checkout.path / f"{name}.yaml").write_text(
        yaml.safe_dump(CONFIG | {"results": name, "loads": dict(loads)})
    )
    folder = f"{name}/trials/debian-6.12/1GiB/mem/carve_out"
    files = [f"{folder}/{load}.once.page.jsonl" for load in loads]
    checkout.snakemake(*files, "--configfile", f"{name}.yaml")
    return [
        json.loads(line)
        for name in files
        for line in (checkout.path / name).read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def trials(checkout: Checkout) -> list[Trial]:
    """The trials of both anonymous loads."""
    return trials_of(checkout, "loads", {load: list(DOSES) for load in ANONYMOUS})


@pytest.fixture(scope="module")
def of_the_kernel(checkout: Checkout) -> list[Trial]:
    """The trials of loads whose memory is not a process's own, and of an idle host."""
    loads = {load: doses for load, (_, doses) in STANDS_IN.items()}
    return trials_of(checkout, "kernel_loads", {"idle": [0], **loads})


def records(trial: Trial, kind: str) -> Iterator[dict[str, Any]]:
    return (record for record in trial["records"] if record["record"] == kind)


def asked_bytes(trial: Trial) -> int:
    return int(trial["cell"]["ram_bytes"] * trial["dose_permille"] // 1000)


def test_an_anonymous_load_takes_what_it_holds(trials: list[Trial]) -> None:
    assert len(trials) == len(ANONYMOUS) * len(DOSES) * 2
    for trial in trials:
        (load,) = records(trial, "load")
        assert load["dose_achieved_percent"] == trial["dose_permille"] / 10
        taken = load["physical_bytes"] / asked_bytes(trial)
        assert taken == pytest.approx(1, abs=0.01), trial["cell"]


def census_of(trial: Trial, phase: str) -> dict[str, Any]:
    """The one census that was taken in this phase."""
    (census,) = (census for census in records(trial, "census") if census["phase"] == phase)
    return census


def test_what_a_load_takes_is_gone_from_free_memory(trials: list[Trial]) -> None:
    for trial in trials:
        unloaded, before = (census_of(trial, phase) for phase in ("unloaded", "before"))
        (load,) = records(trial, "load")
        gone = unloaded["mem_free_bytes"] - before["mem_free_bytes"]
        assert abs(gone - load["physical_bytes"]) < MIB, trial["cell"]


def accounts_before_the_lend(trial: Trial) -> dict[str, int]:
    return dict(census_of(trial, "before")["accounts"])


def test_a_load_reaches_its_dose_and_the_census_finds_it(of_the_kernel: list[Trial]) -> None:
    idle = [trial for trial in of_the_kernel if trial["cell"]["load"] == "idle"]
    empty = accounts_before_the_lend(idle[0])
    loaded = [trial for trial in of_the_kernel if trial["cell"]["load"] != "idle"]
    assert len(loaded) == 2 * 2 * len(STANDS_IN)
    for trial in loaded:
        (load,) = records(trial, "load")
        wanted = trial["dose_permille"] / 10
        assert load["dose_achieved_percent"] == pytest.approx(wanted, abs=0.2), trial["cell"]
        names, _ = STANDS_IN[trial["cell"]["load"]]
        held = accounts_before_the_lend(trial)
        grown = sum(held[name] - empty[name] for name in names)
        share = grown / trial["cell"]["ram_bytes"] * 100
        assert share == pytest.approx(wanted, abs=0.5), trial["cell"]["load"]


@pytest.fixture(scope="module")
def aged(checkout: Checkout) -> list[Trial]:
    """Hosts that have lived for a while, twice over."""
    doses = {"ageing": [0, 15, 40]}
    first, again = (trials_of(checkout, name, doses) for name in ("aged", "aged_again"))
    assert [trial["records"] for trial in again] == [trial["records"] for trial in first]
    return first


@pytest.mark.long
def test_ageing_does_the_work_that_it_is_to_do(aged: list[Trial]) -> None:
    for trial in aged:
        (load,) = records(trial, "load")
        wanted = trial["dose_permille"] / 10
        # What it frees in the end takes some pages more: directories, page tables.
        assert load["dose_achieved_percent"] == pytest.approx(wanted, abs=1)


@pytest.mark.long
def test_ageing_scatters_what_is_free_and_what_cannot_move(aged: list[Trial]) -> None:
    found = {}
    for trial in aged:
        census = census_of(trial, "before")
        free = census["free_blocks"]
        scattered = sum(count << order for order, count in enumerate(free[:9]))
        found[trial["dose_permille"], trial["seed"]] = (census["blocked_pageblocks"], scattered)
    for seed in (1, 2):
        young, middle, old = (found[dose, seed] for dose in (0, 150, 400))
        assert young[0] < middle[0] < old[0]
        assert young[1] < middle[1] < old[1]


def test_clusters_leave_larger_ranges_than_single_pages(checkout: Checkout) -> None:
    doses = {load: [10] for load in ("unmovable_pages", "unmovable_clusters")}
    single: list[tuple[int, int]] = []
    clusters: list[tuple[int, int]] = []
    for trial in trials_of(checkout, "clusters", doses):
        census = census_of(trial, "before")
        runs = re.findall("[FM]+", census["pageblocks"])
        of_load = clusters if trial["cell"]["load"] == "unmovable_clusters" else single
        of_load.append((census["blocked_pageblocks"], max(map(len, runs))))
    for (blocked, longest), (as_many, longer) in zip(single, clusters, strict=True):
        assert abs(as_many - blocked) <= 2
        assert longer > 2 * longest


@pytest.mark.long
def test_stress_ng_takes_its_dose_and_repeats_to_the_bit(checkout: Checkout) -> None:
    doses = {"stress_ng": [5, 60]}
    first, again = (trials_of(checkout, name, doses) for name in ("stress", "stress_again"))
    assert [trial["records"] for trial in again] == [trial["records"] for trial in first]
    for trial in first:
        (load,) = records(trial, "load")
        wanted = trial["dose_permille"] / 10
        assert load["dose_achieved_percent"] == pytest.approx(wanted, abs=2)
        taken = load["physical_bytes"] / trial["cell"]["ram_bytes"] * 100
        assert taken == pytest.approx(wanted, abs=2)
    # Between hosts with the same image of programs: it stands in the books too.
    little, much = (accounts_before_the_lend(trial)["movable"] for trial in (first[0], first[-1]))
    assert (much - little) / first[0]["cell"]["ram_bytes"] * 100 == pytest.approx(55, abs=1)


def first_cycles(smoke: Run, strategy: str, load: str) -> pd.DataFrame:
    table = smoke.table("trials")
    chosen = table[
        (table["strategy"] == strategy) & (table["load"] == load) & (table["cycle"] == 1)
    ]
    assert len(chosen) > 0
    return chosen


def test_linux_uses_the_cma_area_under_the_smoke_jobs_dose(smoke: Run) -> None:
    loaded = first_cycles(smoke, "cma", "anonymous_memory")
    assert (loaded["cma_used_bytes"] > 0).all()
    # Of an area of its own, which nobody else has a part of, the first 64 MiB are not in use yet.
    assert (loaded[loaded["variant"] == "area"]["pages_migrated"] > 0).all()
    assert (first_cycles(smoke, "cma", "idle")["pages_migrated"] == 0).all()


def test_ordinary_pages_are_single_pages(smoke: Run) -> None:
    times = first_cycles(smoke, "baseline", "idle").groupby("variant")["lend_ns"].median()
    assert times["ordinary_pages"] > 2 * times["transparent_huge_pages"]
