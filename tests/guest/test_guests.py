# SPDX-License-Identifier: GPL-2.0-only
"""What real hosts must do: the kernel's numbers add up, and a host that dies is a row."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from carveout.common.schemas import load_yaml
from tests.conftest import CHECKOUT, Checkout, Run, copy_checkout
from tests.guest.tables import censuses

PAGE_BYTES = 4096
SECTION_BYTES = 128 * 2**20
MEMMAP_PAGES_OF_A_SECTION = 512
MEMMAP_BYTES_OF_A_SECTION = MEMMAP_PAGES_OF_A_SECTION * PAGE_BYTES
RAM_BYTES = 2**30
LENDABLE_BYTES = 2**28
GIB = 2**30


def trials(smoke: Run, strategy: str, variant: str | None = None) -> pd.DataFrame:
    """The rows of a strategy in the smoke run, or of one of its variants."""
    table = smoke.table("trials")
    chosen = table[table["strategy"] == strategy]
    if variant is not None:
        chosen = chosen[chosen["variant"] == variant]
    assert len(chosen) > 0
    return chosen


def test_baseline_memmap_is_512_pages_a_section(smoke: Run) -> None:
    wanted = RAM_BYTES // SECTION_BYTES * MEMMAP_BYTES_OF_A_SECTION
    assert set(censuses(smoke, "baseline")["memmap_bytes"]) == {wanted}


def test_memmap_equals_the_kernels_counters(smoke: Run) -> None:
    phases = smoke.table("phases")
    assert (phases["memmap_bytes"] == phases["memmap_counter_bytes"]).all()


def test_mem_saves_exactly_the_hidden_sections(smoke: Run) -> None:
    wanted = (RAM_BYTES - LENDABLE_BYTES) // SECTION_BYTES * MEMMAP_BYTES_OF_A_SECTION
    assert set(censuses(smoke, "mem", variant="carve_out")["memmap_bytes"]) == {wanted}
    assert set(trials(smoke, "mem")["memmap_lent_bytes"]) == {0}


@pytest.mark.parametrize("strategy", ["baseline", "cma", "alloc_contig_range", "hugetlbfs"])
def test_these_save_no_memmap(smoke: Run, strategy: str) -> None:
    whole = RAM_BYTES // SECTION_BYTES * MEMMAP_BYTES_OF_A_SECTION
    assert set(censuses(smoke, strategy)["memmap_bytes"]) == {whole}
    lent = trials(smoke, strategy)
    lent = lent[lent["granted_bytes"] > 0]
    assert len(lent) > 0
    assert (lent["memmap_lent_bytes"] == lent["granted_bytes"] // PAGE_BYTES * 64).all()


def test_virtio_mems_memmap_goes_with_its_blocks(smoke: Run) -> None:
    table = censuses(smoke, "virtio-mem", variant="online_movable")
    keys = ["variant", "scenario", "dose_target", "seed", "cycle"]
    memmap = table.pivot_table(index=keys, columns="phase", values="memmap_bytes")
    absent = table[table["phase"] == "lent"].set_index(keys)["account_machine_bytes"]
    saved = memmap["before"] - memmap["lent"]
    assert (saved > 0).any()
    assert (saved % MEMMAP_BYTES_OF_A_SECTION == 0).all()
    # A block goes as a whole: no more than what was lent, and all of it where that is whole blocks.
    blocks = (absent // SECTION_BYTES) * MEMMAP_BYTES_OF_A_SECTION
    assert (saved <= blocks).all()
    whole = absent == LENDABLE_BYTES
    assert whole.any()
    assert (saved[whole] == blocks[whole]).all()
    assert (memmap["after"] == memmap["before"]).all()


@pytest.fixture(scope="module")
def gigantic(checkout: Checkout) -> Run:
    """Pages of 1 GiB."""
    config = ("--configfile", "tests/guest/gigantic.yaml", "--config", "results=gigantic")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "gigantic")


def test_pages_of_1_gib_are_lent_from_boot_and_found_at_run_time(gigantic: Run) -> None:
    table = trials(gigantic, "hugetlbfs").set_index("variant")
    assert dict(table["granted_bytes"]) == dict.fromkeys(("1G_boot", "1G_run_time", "1G_cma"), GIB)
    stranded = {"1G_boot": 1, "1G_run_time": 0, "1G_cma": 0}
    assert dict(table["stranded_bytes"] // GIB) == stranded
    assert set(table["verify"]) == {"ok"}


def cma_bytes(run: Run, variant: str) -> dict[str, int]:
    """What the accounts of CMA areas hold in each phase."""
    found = censuses(run, "hugetlbfs", variant=variant).set_index("phase")
    return dict(found["account_cma_idle_bytes"] + found["account_cma_used_bytes"])


def test_a_huge_page_out_of_cma_leaves_the_area(gigantic: Run) -> None:
    """As the accounts say, by the type of its pageblocks; of another, none leaves."""
    out_of_cma = cma_bytes(gigantic, "1G_cma")
    assert out_of_cma["before"] == out_of_cma["after"] == out_of_cma["lent"] + GIB
    assert len(set(cma_bytes(gigantic, "1G_run_time").values())) == 1


@pytest.mark.long
def test_a_huge_page_from_elsewhere_is_none_out_of_cma(tmp_path: Path) -> None:
    """The kernel takes one where the area has no more: that one is not lent."""
    checkout = copy_checkout(tmp_path)
    description = checkout.path / "workflow/strategies/hugetlbfs/strategy.yaml"
    text = description.read_text()
    whole = "hugetlb_cma={{ lendable_bytes }}"
    assert whole in text
    description.write_text(text.replace(whole, "cma=1G hugetlb_cma=1G"))
    config = load_yaml(CHECKOUT / "tests/guest/gigantic.yaml")
    config |= {"ram": ["10GiB"], "lendable": "2GiB", "requests": {"whole": ["2GiB"]}}
    config["strategies"] = {"hugetlbfs": ["1G_cma"]}
    (checkout.path / "elsewhere.yaml").write_text(yaml.safe_dump(config))
    checkout.snakemake("collect_trials", "--configfile", "elsewhere.yaml")
    run = Run(checkout, checkout.path / "results")
    table = trials(run, "hugetlbfs").set_index("variant")
    assert dict(table["granted_bytes"] // GIB) == {"1G_cma": 1}
    assert tuple(table.loc["1G_cma", ["outcome", "refused_by", "reason"]]) == (
        "partial",
        "kernel",
        "not_cma",
    )
    out_of_cma = cma_bytes(run, "1G_cma")
    assert out_of_cma["before"] == out_of_cma["lent"] + GIB


def test_every_lend_is_verified(smoke: Run) -> None:
    table = smoke.table("trials")
    assert set(table.loc[table["granted_bytes"] > 0, "verify"]) == {"ok"}


def test_carve_out_is_of_no_use_to_linux(smoke: Run) -> None:
    table = trials(smoke, "mem", "carve_out")
    assert set(table["stranded_bytes"]) == {LENDABLE_BYTES}
    assert set(table["reuse_movable_bytes"]) == {0}


def test_what_only_a_search_by_address_gets_is_told_apart(smoke: Run) -> None:
    """Below the watermarks of a small zone there is always some."""
    zone = trials(smoke, "alloc_contig_range").query("variant == 'zone_movable'")
    assert (zone["reuse_movable_address_bytes"] > 0).any()


def test_cma_is_for_movable_pages_alone(smoke: Run) -> None:
    table = trials(smoke, "cma")
    lent = table[table["granted_bytes"] > 0]
    assert len(lent) > 0
    assert (lent["reuse_movable_bytes"] > 0).all()
    assert set(lent["reuse_unmovable_bytes"]) == {0}
    # What the allocator keeps below its watermarks nobody tries: the area would not know of it.
    assert (lent["reuse_movable_untried_bytes"] > 0).any()
    assert set(lent["reuse_movable_address_bytes"]) == {0}
    back = lent["reuse_movable_bytes"] + lent["reuse_movable_untried_bytes"]
    assert (back == lent["granted_bytes"]).all()
    # The kernel's own pages in the default area are lost to it.
    default, own = (
        trials(smoke, "cma", name)["movable_only_bytes"] for name in ("area", "own_area")
    )
    assert (default < LENDABLE_BYTES).all()
    assert (default > LENDABLE_BYTES - 2**20).all()
    assert set(own) == {LENDABLE_BYTES}


def test_the_seeds_of_a_load_differ(smoke: Run) -> None:
    first = smoke.table("phases").query("cycle == 1 and phase == 'before'")
    maps = first.groupby(["strategy", "variant", "scenario"])["pageblocks"].nunique()
    unmovable = maps[maps.index.get_level_values("scenario").str.startswith("unmovable")]
    assert len(unmovable) >= 6
    assert (unmovable == 2).all()


@pytest.fixture(scope="session")
def guests(checkout: Checkout) -> Run:
    """One run of the hosts that misbehave."""
    config = ("--configfile", "tests/guest/guests.yaml", "--config", "results=guests")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / "guests")


def row(run: Run, strategy: str, cycle: int = 1, seed: int = 1) -> dict[str, Any]:
    """The one row of a trial's cycle."""
    table = trials(run, strategy)
    (found,) = table[(table["cycle"] == cycle) & (table["seed"] == seed)].to_dict("records")
    return {str(column): value for column, value in found.items()}


def console(run: Run, strategy: str) -> str:
    """What a strategy's host wrote on its console."""
    (path,) = (run.results / "logs" / "boots").glob(f"**/{strategy}/**/*.log")
    return Path(path).read_text()


def test_the_verifier_catches_a_page_written_behind_its_back(guests: Run) -> None:
    found = row(guests, "planted_error")
    assert found["outcome"] == "granted"
    assert (found["verify"], found["verify_pages_bad"]) == ("failed", 1)


def test_a_panic_is_a_row(guests: Run) -> None:
    found = row(guests, "panics")
    assert (found["outcome"], found["cause"], found["stage"]) == ("crashed", "panic", "lend")
    assert found["message"] == "sysrq triggered crash"
    later = row(guests, "panics", cycle=2)
    assert (later["outcome"], later["stage"]) == ("crashed", "earlier_cycle")


def test_a_hang_is_a_row(guests: Run) -> None:
    found = row(guests, "hangs")
    assert (found["outcome"], found["cause"], found["stage"]) == ("crashed", "hang", "lend")


def test_records_that_are_torn_are_a_row(guests: Run) -> None:
    found = row(guests, "tears")
    assert (found["outcome"], found["cause"], found["stage"]) == ("crashed", "torn_records", "lend")
    assert "is no JSON: 'torn'" in found["message"]


@pytest.mark.parametrize("strategy", ["panics", "hangs", "tears", "planted_error", "kpageflags"])
def test_whatever_became_of_a_host_the_next_is_like_it(guests: Run, strategy: str) -> None:
    first, second = (row(guests, strategy, seed=seed) for seed in (1, 2))
    for column in ("outcome", "cause", "stage", "verify", "verify_pages_bad"):
        assert str(second[column]) == str(first[column])


def test_the_module_answers_nonsense_with_an_errno_and_unloads(guests: Run) -> None:
    found = row(guests, "nonsense")
    answers = re.findall(r"nonsense: (.*): wanted (\w+), found (\w+)", console(guests, "nonsense"))
    assert len(answers) >= 15
    assert [what for what, wanted, got in answers if wanted != got] == []
    assert (found["outcome"], found["verify"]) == ("granted", "ok")


def test_the_pageblock_map_agrees_with_kpageflags(guests: Run) -> None:
    phases = guests.table("phases")
    chosen = phases.query(
        "strategy == 'kpageflags' and cycle == 1 and phase == 'before' and seed == 1"
    )
    (ours,) = chosen["pageblocks"]
    said = console(guests, "kpageflags")
    theirs = re.findall(r"own_map: (\w+)", said)[0]
    cma_blocks = int(re.findall(r"own_cma_blocks: (\d+)", said)[0])
    assert ours.count("C") == cma_blocks
    assert len(ours) == len(theirs)
    # Flags show no CMA and no reclaimable slab, and a page without flags is a kernel page or lies
    # on a per-CPU list.
    agree = {"A": "A", "F": "FC", "X": "X", "U": "URC", "M": "MC", "z": "UFRMXC"}
    differing = [
        (block, our, their)
        for block, (our, their) in enumerate(zip(ours, theirs, strict=True))
        if our not in agree[their]
    ]
    assert differing == []
    # Free, reserved, unmovable: the map is not all one letter, and few blocks are open to doubt.
    assert theirs.count("F") > len(theirs) // 2
    assert set("XU") <= set(theirs)
    assert theirs.count("z") < len(theirs) // 8


def test_a_load_that_does_not_fit_says_how_far_it_came(checkout: Checkout) -> None:
    config = ("--configfile", "tests/guest/out_of_memory.yaml", "--config", "results=oom")
    checkout.snakemake("collect_trials", *config)
    found = row(Run(checkout, checkout.path / "oom"), "baseline")
    assert (found["outcome"], found["cause"], found["stage"]) == ("load_refused", "oom", "load")
    # How far it came: the host of 1 GiB has its kernel, and little else.
    assert 70 < found["dose_achieved"] < 95
