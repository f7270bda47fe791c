# SPDX-License-Identifier: GPL-2.0-only
"""What of the memmap each way of setting memory aside saves, exactly, and by two counts."""

import pandas as pd
import pytest

from carveout.common.schemas import load_yaml
from carveout.common.sizes import GIB, MIB
from carveout.records.outcomes import PHASES
from carveout.study.geometry import memmap_of
from tests.conftest import CHECKOUT, Checkout, Run
from tests.guest.tables import run_config

CONFIG = load_yaml(CHECKOUT / "tests/guest/memmap.yaml")
RAM_BYTES = GIB
LENDABLE_BYTES = 256 * MIB


def run(checkout: Checkout, name: str, **changes: object) -> Run:
    """A run of memmap.yaml with changes, with its tables."""
    return run_config(checkout, {**CONFIG, **changes, "results": name})


@pytest.fixture(scope="module")
def forked(checkout: Checkout) -> Run:
    """The hosts of memmap.yaml."""
    return run(checkout, "memmap_forked")


@pytest.fixture(scope="module")
def trials(forked: Run) -> pd.DataFrame:
    """Their trials, with the variant as the index."""
    trials = forked.table("trials")
    return trials[trials["load"] == "idle"].set_index("variant")


def test_a_region_without_a_mapping_keeps_its_memmap(trials: pd.DataFrame) -> None:
    full_bytes = memmap_of(RAM_BYTES, 4096)
    assert trials.loc["no_map", "memmap_idle_bytes"] == full_bytes
    assert trials.loc["no_map", "memmap_lent_bytes"] == memmap_of(LENDABLE_BYTES, 4096)
    hidden_bytes = memmap_of(RAM_BYTES - LENDABLE_BYTES, 4096)
    assert trials.loc["carve_out", "memmap_idle_bytes"] == hidden_bytes
    assert trials.loc["carve_out", "memmap_lent_bytes"] == 0


def test_the_kernel_counts_the_same(forked: Run) -> None:
    phases = forked.table("phases")
    assert len(phases) == 4 * 2 * len(PHASES)
    assert (phases["memmap_bytes"] == phases["memmap_counter_bytes"]).all()


def test_what_is_kept_from_linux_is_idle_in_the_books(forked: Run) -> None:
    before = forked.table("phases").query("phase == 'before'")
    idle = before[before["scenario"] == "idle.once.2M"]
    by_variant = idle.set_index("variant")
    assert by_variant.loc["no_map", "account_no_map_bytes"] == LENDABLE_BYTES
    assert by_variant.loc["carve_out", "account_hidden_bytes"] == LENDABLE_BYTES
    assert by_variant.loc["own_area", "account_cma_idle_bytes"] == LENDABLE_BYTES


def test_who_pays_is_counted_in_full(trials: pd.DataFrame) -> None:
    for variant, nobody_bytes in (
        ("no_map", 0),
        ("own_area", 0),
        ("carve_out", memmap_of(LENDABLE_BYTES, 4096)),
    ):
        trial = trials.loc[variant]
        assert trial["memmap_idle_self_bytes"] == trial["memmap_self_bytes"] == 0
        assert trial["memmap_idle_nobody_bytes"] == trial["memmap_nobody_bytes"] == nobody_bytes
        assert trial["memmap_host_bytes"] == memmap_of(RAM_BYTES, 4096) - nobody_bytes


def test_a_page_of_table_maps_2_mib_of_the_linear_map(trials: pd.DataFrame) -> None:
    # With rodata=full, Debian's default, by entries of one page each: docs/measuring.md.
    table_bytes, of_table_bytes = 4096, 2 * MIB
    of_all = RAM_BYTES // of_table_bytes * table_bytes
    of_lendable = LENDABLE_BYTES // of_table_bytes * table_bytes
    idle = trials["linear_map_table_idle_bytes"]
    # One table more maps 1 GiB, and the top level has one for it. The kernel's own text and
    # read-only data are mapped there by blocks (map_mem() in arch/arm64/mm/mmu.c).
    in_blocks_bytes = (of_all + 2 * table_bytes - idle["own_area"]) // table_bytes * of_table_bytes
    assert 16 * MIB < in_blocks_bytes < 64 * MIB
    assert idle["own_area"] - idle["carve_out"] == of_lendable
    assert idle["own_area"] - idle["no_map"] == of_lendable


def test_an_area_of_its_own_is_there_as_a_whole(trials: pd.DataFrame) -> None:
    assert trials.loc["own_area", "outcome"] == "granted"
    assert trials.loc["own_area", "extents"] == 1
    assert trials.loc["area", "outcome"] == "partial"


def test_all_of_it_holds_its_pattern(forked: Run) -> None:
    trials = forked.table("trials")
    assert set(trials["verify"]) == {"ok"}
    assert (trials["verify_pages_checked"] * 4096 == trials["lent_bytes"]).all()


@pytest.mark.long
def test_forks_and_cold_boots_give_the_same_bytes(checkout: Checkout, forked: Run) -> None:
    cold = run(checkout, "memmap_cold", boot="cold")
    tables = [of.results / "tables/trials.parquet" for of in (forked, cold)]
    assert tables[0].read_bytes() == tables[1].read_bytes()


# What each kernel with HVO has as huge pages: by their size the name of the variant.
HUGE_PAGES = {
    "lab": {"2M": 2 * MIB, "32M": 32 * MIB, "1G": GIB},
    "lab-16k": {"2M": 2 * MIB, "32M": 32 * MIB, "1G": GIB},
    "lab-64k": {"2M": 2 * MIB, "512M": 512 * MIB},
}
PAGE_BYTES = {"lab": 4096, "lab-16k": 16384, "lab-64k": 65536}


@pytest.fixture(scope="module", params=HUGE_PAGES)
def kernel(request: pytest.FixtureRequest) -> str:
    """Each kernel that was built with HVO."""
    return str(request.param)


@pytest.fixture(scope="module")
def with_hvo(kernel: str, checkout: Checkout) -> Run:
    """Hosts of 4 GiB that have or take pools of huge pages, with HVO and without."""
    names = HUGE_PAGES[kernel]
    variants = [
        f"{size}_{time}{hvo}"
        for size in names
        for time in ("boot", "run_time")
        for hvo in ("", "_hvo")
    ]
    return run(
        checkout,
        f"hvo_{kernel}",
        kernels=[kernel],
        ram=["4GiB"],
        lendable="1GiB",
        requests={"once": ["1GiB"]},
        strategies={"hugetlbfs": variants},
        loads={"idle": [0]},
        granules=["page"],
    )


@pytest.mark.long
def test_hvo_keeps_one_page_of_memmap_for_each_huge_page(kernel: str, with_hvo: Run) -> None:
    lent = with_hvo.table("phases").query("phase == 'lent'").set_index("variant")
    page_bytes = PAGE_BYTES[kernel]
    for name, huge_page_bytes in HUGE_PAGES[kernel].items():
        of_one_bytes = memmap_of(huge_page_bytes, page_bytes)
        saved_of_one_bytes = max(of_one_bytes - page_bytes, 0)
        saved_bytes = GIB // huge_page_bytes * saved_of_one_bytes
        for time in ("boot", "run_time"):
            plain, hvo = (lent.loc[f"{name}_{time}{suffix}"] for suffix in ("", "_hvo"))
            assert plain["memmap_bytes"] == memmap_of(4 * GIB, page_bytes)
            assert plain["memmap_bytes"] - hvo["memmap_bytes"] == saved_bytes
            assert hvo["memmap_lent_bytes"] == memmap_of(GIB, page_bytes) - saved_bytes
            assert hvo["memmap_counter_bytes"] == hvo["memmap_bytes"]


@pytest.mark.long
def test_hvo_is_called_what_it_is(with_hvo: Run) -> None:
    with_hvo.checkout.snakemake("report", "--configfile", f"{with_hvo.results.name}.yaml")
    report = (with_hvo.results / "report.html").read_text()
    assert report.count("HVO (built with HVO selected on arm64, out of tree)") >= 2
    assert report.count("HVO</") == 0


@pytest.fixture(scope="module")
def without_memory(checkout: Checkout) -> pd.DataFrame:
    """Trials of pools that are emptied while the host has no memory free, but what it can drop."""
    return run(
        checkout,
        "without_memory",
        kernels=["lab"],
        requests={"once": {"sizes": ["256MiB"], "question": "return_without_memory"}},
        strategies={"hugetlbfs": ["2M_run_time", "2M_run_time_hvo"]},
        loads={"anonymous_memory": [40], "page_cache": [50]},
    ).table("trials")


@pytest.mark.long
def test_with_hvo_nothing_comes_back_without_memory_for_the_memmap(
    without_memory: pd.DataFrame,
) -> None:
    memmap_freed_bytes = memmap_of(LENDABLE_BYTES, 4096) * 7 // 8
    for trial in without_memory.to_dict("records"):
        has_hvo = trial["variant"].endswith("_hvo")
        is_kept = has_hvo and trial["load"] == "anonymous_memory"
        assert (trial["give_back_reason"] == "pages_kept") == is_kept
        came_back_bytes = LENDABLE_BYTES - (memmap_freed_bytes if has_hvo else 0)
        assert trial["regained_bytes"] == (0 if is_kept else came_back_bytes)
