# SPDX-License-Identifier: GPL-2.0-only
"""The books of every census, held against a program that counts the memory once more by itself.

``loads/audited/audit.c`` says how it counts. Numbers here are frames. What it cannot tell apart is
compared in sum, as each test says. All counts are exact but one, of the kernel's own page tables.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Checkout, Run

PAGE_BYTES = 4096
PLACES = ("ordinary", "movable_zone", "cma_area")
HELD = ("baseline", "hugetlbfs", "device-dax")
# What is lent was no memory of Linux's before.
NOT_LINUXS = ("mem", "device-dax")
FRAMES_PER_TABLE = 512
MOST_OTHER_TABLES = 32
HUGE_PAGE_PAGES = {"2M": 512, "32M": 8192, "1G": 262_144}


@dataclass(frozen=True)
class Audit:
    """One census: its books and, by name, what the program beside it saw.

    Attributes:
        books: the census's accounts.
        seen: the program's counts; ``user`` and the like are sums over all places.
        plugged: what the machine says its virtio-mem device has plugged; None where it has none.
        lendable: what the strategy may lend.
        huge_page: the size of the huge pages that it lends, if so.
        ram: the runner's RAM.
        mem_total: MemTotal, as the census has it.
    """

    strategy: str
    variant: str
    cycle: int
    phase: str
    books: Mapping[str, int]
    seen: Mapping[str, int]
    plugged: int | None
    lendable: int
    huge_page: int
    ram: int
    mem_total: int

    def __str__(self) -> str:
        return f"{self.strategy} {self.variant}, cycle {self.cycle}, {self.phase}"

    def booked(self, *names: str) -> int:
        """The sum of some accounts."""
        return sum(self.books[name] for name in names)

    @property
    def free(self) -> int:
        """Free frames by the program: in the page allocator, or waiting on a per-CPU list."""
        return self.seen["buddy"] + self.waiting

    @property
    def waiting(self) -> int:
        """Frames on per-CPU lists, which flags do not show."""
        return self.seen["waiting"] + self.seen["waiting_movable_zone"]


def audits_of(run: Run) -> list[Audit]:
    """Every census of a run beside what the program saw at its instant."""
    trials = run.table("trials").drop_duplicates("trial_id").set_index("trial_id")
    phases = run.table("phases")
    found = []
    # Before the load the program, which is part of it, is not there yet.
    for row in phases[phases["phase"] != "unloaded"].to_dict("records"):
        cell = f"{row['strategy']}/{row['variant']}/{row['scenario']}"
        (log,) = (run.results / "logs" / "boots").glob(f"*/*/{cell}.log")
        (records,) = (run.results / "trials").glob(f"*/*/{cell}.jsonl")
        at = (row["cycle"], row["phase"])
        names = [name for name in row if re.fullmatch(r"account_\w+_bytes", str(name))]
        found.append(
            Audit(
                **{name: row[name] for name in ("strategy", "variant", "cycle", "phase")},
                books={
                    str(name)[len("account_") : -len("_bytes")]: row[name] // PAGE_BYTES
                    for name in names
                },
                seen=_seen(log)[at],
                plugged=_plugged(records).get(at),
                lendable=trials["lendable_bytes"][row["trial_id"]] // PAGE_BYTES,
                huge_page=HUGE_PAGE_PAGES.get(str(row["variant"]).split("_")[0], 0),
                ram=row["ram_bytes"] // PAGE_BYTES,
                mem_total=row["mem_total_bytes"] // PAGE_BYTES,
            )
        )
    return found


def _seen(log: Path) -> dict[tuple[int, str], dict[str, int]]:
    """What the program saw, by cycle and phase: the shell tells these after each census."""
    text = log.read_text(errors="replace")
    pinned = int(re.findall(r"audit of: pinned=(\d+)", text)[0])
    seen = {}
    for said, cycle, phase in re.findall(
        r"^audit: (.*)\s+audit of: cycle=(\d+) phase=(\w+)", text, re.MULTILINE
    ):
        counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", said)}
        kinds = [name.removeprefix("ordinary_") for name in counts if name.startswith("ordinary_")]
        for kind in kinds:
            counts[kind] = sum(counts[f"{place}_{kind}"] for place in PLACES)
        seen[int(cycle), phase] = {**counts, "pinned": pinned}
    return seen


def _plugged(trials: Path) -> dict[tuple[int, str], int]:
    """What the machine told after each census of its virtio-mem device."""
    (trial,) = trials.read_text().splitlines()
    plugged, at = {}, (0, "")
    for record in json.loads(trial)["records"]:
        if record["record"] == "census":
            at = (record["cycle"], record["phase"])
        if record["record"] == "host" and record["execute"] == "qom-get":
            asked = record["seq"]
        if record["record"] == "host_reply" and at != (0, "") and record["seq"] == asked:
            plugged[at] = record["return"] // PAGE_BYTES
    return plugged


@pytest.fixture(scope="module", params=["1GiB", pytest.param("4GiB", marks=pytest.mark.long)])
def run(request: pytest.FixtureRequest, checkout: Checkout) -> Run:
    """A run in which every census was audited."""
    name = {"1GiB": "audited", "4GiB": "audited_large"}[request.param]
    config = ("--configfile", f"tests/guest/{name}.yaml", "--config", f"results={name}")
    checkout.snakemake("collect_trials", *config)
    return Run(checkout, checkout.path / name)


@pytest.fixture(scope="module")
def audits(run: Run) -> list[Audit]:
    """All censuses of a run."""
    return audits_of(run)


def memmap_on_device(audit: Audit) -> int:
    """Memmap on itself where the memory is a device's: flags show nothing there."""
    return audit.books["memmap_self"] if audit.books["device"] else 0


def lent_beside_linux(audit: Audit) -> int:
    """Lent frames of which flags show nothing."""
    return audit.books["lent"] if audit.strategy in NOT_LINUXS else 0


Count = Callable[[Audit], object]


def agree(audits: list[Audit], booked: Count, seen: Count) -> None:
    """What is booked is what is seen, in every census; else the test fails with all that differ."""
    differing = [
        f"{audit}: {booked(audit)} booked, {seen(audit)} seen"
        for audit in audits
        if booked(audit) != seen(audit)
    ]
    assert differing == []


def test_every_host_lives_and_grants(run: Run) -> None:
    trials = run.table("trials")
    assert list(trials.loc[trials["outcome"] == "crashed", "message"]) == []
    assert set(trials["outcome"]) <= {"granted", "partial"}


def test_every_phase_of_every_request_is_audited(run: Run, audits: list[Audit]) -> None:
    assert len(audits) == len(run.table("trials")) * 3 > 0
    for audit in audits:
        assert (audit.plugged is not None) == (audit.strategy == "virtio-mem"), audit
        assert (audit.booked("lent", "machine") > 0) == (audit.phase == "lent"), audit


def test_the_ram_that_the_program_found_is_the_runners(audits: list[Audit]) -> None:
    kinds = ("no_page", "buddy", "offline", "huge", "table", "slab", "reserved", "user", "bare")
    agree(
        audits,
        lambda audit: (sum(audit.books.values()), audit.ram),
        lambda audit: (sum(audit.seen[kind] for kind in kinds),) * 2,
    )


def test_free_frames_are_those_of_the_page_allocator(audits: list[Audit]) -> None:
    agree(
        audits,
        lambda audit: audit.booked("free", "movable_zone_free", "cma_idle"),
        lambda audit: audit.free,
    )


def test_free_frames_lie_where_the_program_sees_them(audits: list[Audit]) -> None:
    # Frames on per-CPU lists are known by zone, and a CMA area lies in some zone.
    for audit in audits:
        seen, books = audit.seen, audit.books
        in_cma = books["cma_idle"] - seen["cma_area_buddy"]
        in_zone = books["movable_zone_free"] - seen["movable_zone_buddy"]
        in_ordinary = books["free"] - seen["ordinary_buddy"]
        assert min(in_cma, in_zone, in_ordinary) >= 0, audit
        if not seen["cma_pageblocks"]:
            assert (in_zone, in_ordinary) == (seen["waiting_movable_zone"], seen["waiting"]), audit
        elif not seen["movable_zone_frames"]:
            assert (in_zone, in_cma + in_ordinary) == (0, seen["waiting"]), audit


@pytest.mark.parametrize(
    ("account", "place"),
    list(zip(("movable", "movable_zone_used", "cma_used"), PLACES, strict=True)),
)
def test_pages_that_can_move_are_those_of_users(
    audits: list[Audit], account: str, place: str
) -> None:
    # The load has some of its ordinary pages pinned by a device, and says how many.
    pinned = "pinned" if place == "ordinary" else None
    agree(
        audits,
        lambda audit: audit.books[account] + (audit.seen[pinned] if pinned else 0),
        lambda audit: (
            audit.seen[f"{place}_user"]
            - (audit.seen[f"{place}_held"] if audit.strategy not in NOT_LINUXS else 0)
        ),
    )


def kernel_tables(audit: Audit) -> int:
    """Page tables by the books that flags do not show: the kernel's own."""
    return audit.books["page_tables"] - audit.seen["table"]


def boot_tables(audit: Audit) -> int:
    """Those of them that flags show as reserved."""
    seen = audit.seen["reserved"] - audit.seen["nr_memmap_boot_pages"]
    return seen - audit.booked("reserved", "no_map")


def test_page_tables_are_those_that_flags_show_and_the_kernels_own(audits: list[Audit]) -> None:
    # A table of the last level for each 2 MiB of the linear map, which Debian's kernel maps page by
    # page, and a few: those above, and those of vmalloc(), of modules and of the memmap. A device
    # DAX is in the linear map, and flags show nothing of it.
    for audit in audits:
        mapped = audit.seen["system_ram"]
        if audit.strategy == "device-dax":
            mapped += audit.seen["no_page"] - audit.books["hidden"]
        least = mapped // FRAMES_PER_TABLE
        assert least <= kernel_tables(audit) <= least + MOST_OTHER_TABLES, audit
        assert 0 < boot_tables(audit) <= kernel_tables(audit), audit


def test_what_the_boot_reserved_stays_as_it_was(audits: list[Audit]) -> None:
    hosts = {(audit.strategy, audit.variant) for audit in audits}
    kept = {
        (audit.strategy, audit.variant, audit.booked("reserved", "no_map"), boot_tables(audit))
        for audit in audits
    }
    assert len(kept) == len(hosts)
    assert {audit.seen["top_level_reserved"] for audit in audits} == {0}
    assert {audit.books["no_map"] for audit in audits} == {0}


def test_the_memmap_is_what_the_kernel_counts(audits: list[Audit]) -> None:
    agree(
        audits,
        lambda audit: audit.booked("memmap_host", "memmap_self"),
        lambda audit: audit.seen["nr_memmap_boot_pages"] + audit.seen["nr_memmap_pages"],
    )
    # Nobody else has told the kernel to put memmap on the memory that it describes.
    on_itself = {audit.variant for audit in audits if audit.books["memmap_self"]}
    assert on_itself <= {"memmap_on_itself", "kmem", "hot_add_memmap_on_memory"}


def test_a_pool_idles_as_the_kernel_says(audits: list[Audit]) -> None:
    agree(
        audits,
        lambda audit: audit.books["pool_idle"],
        lambda audit: audit.seen["pool_idle_frames"] + held_unlent(audit),
    )
    made_at_boot = [audit for audit in audits if audit.variant.endswith("_boot")]
    assert all(audit.books["pool_idle"] for audit in made_at_boot if audit.phase == "before")


def test_frames_without_a_memmap_are_hidden_lent_or_the_machines(audits: list[Audit]) -> None:
    # Of what mem= hides, some is lent.
    agree(
        audits,
        lambda audit: (
            audit.booked("hidden", "offline", "device", "machine")
            + lent_beside_linux(audit)
            + memmap_on_device(audit)
        ),
        lambda audit: audit.seen["no_page"] + audit.seen["offline"],
    )
    agree(
        [audit for audit in audits if audit.strategy == "mem"],
        lambda audit: audit.booked("hidden", "lent"),
        lambda audit: audit.ram - audit.seen["system_ram"],
    )


def test_the_machine_has_what_it_says_that_its_device_does_not(audits: list[Audit]) -> None:
    with_device = [audit for audit in audits if audit.plugged is not None]
    agree(
        with_device,
        lambda audit: audit.booked("machine", "hidden", "offline"),
        lambda audit: audit.lendable - (audit.plugged or 0),
    )
    agree(
        [audit for audit in with_device if audit.phase == "lent"],
        lambda audit: audit.books["machine"],
        lambda audit: audit.lendable - (audit.plugged or 0),
    )


def held_unlent(audit: Audit) -> int:
    """Frames of the last huge page of a lend that is smaller than all that it holds."""
    if audit.strategy != "hugetlbfs":
        return 0
    return audit.seen["held"] + audit.seen["held_huge"] - audit.books["lent"]


def test_lent_frames_are_those_that_processes_hold(audits: list[Audit]) -> None:
    held = [audit for audit in audits if audit.strategy in HELD]
    agree(
        held,
        lambda audit: audit.books["lent"] + held_unlent(audit),
        lambda audit: audit.seen["held"] + audit.seen["held_huge"],
    )
    assert all(0 <= held_unlent(audit) < max(audit.huge_page, 1) for audit in held)
    agree(
        held,
        lambda audit: audit.seen["held_huge"],
        lambda audit: audit.seen["pool_frames"] - audit.seen["pool_idle_frames"],
    )


def test_the_kernels_own_frames_are_all_the_others(audits: list[Audit]) -> None:
    # Flags do not tell what a driver holds (alloc_contig_range(), CMA) from other frames of the
    # kernel. Pages on per-CPU lists, the kernel's page tables and memmap that came later have none.
    agree(
        audits,
        lambda audit: (
            audit.booked("unmovable", "reclaimable")
            + kernel_tables(audit)
            - boot_tables(audit)
            + (audit.books["lent"] if audit.strategy in ("cma", "alloc_contig_range") else 0)
        ),
        lambda audit: (
            audit.seen["slab"]
            + audit.seen["bare"]
            + audit.seen["pinned"]
            - audit.waiting
            - audit.seen["nr_memmap_pages"]
            + memmap_on_device(audit)
        ),
    )
    assert all(audit.books["unmovable"] >= audit.seen["pinned"] > 0 for audit in audits)


def test_reclaimable_slab_lies_in_reclaimable_pageblocks(audits: list[Audit]) -> None:
    # The kernel counts it by what it is, the books by where it lies: on these hosts nobody has had
    # to borrow a pageblock of another type.
    agree(
        audits,
        lambda audit: audit.books["reclaimable"],
        lambda audit: audit.seen["nr_slab_reclaimable"],
    )


def test_managed_memory_is_what_is_neither_reserved_nor_away(audits: list[Audit]) -> None:
    away = ("reserved", "no_map", "hidden", "offline", "machine", "device", "memmap_self")
    agree(
        audits,
        lambda audit: (
            audit.ram - audit.booked(*away) - boot_tables(audit) - lent_beside_linux(audit)
        ),
        lambda audit: audit.seen["managed"] + audit.seen["nr_memmap_boot_pages"],
    )


def test_the_kernels_total_is_what_it_manages(audits: list[Audit]) -> None:
    agree(audits, lambda audit: audit.mem_total, lambda audit: audit.seen["managed"])
    agree(
        audits,
        lambda audit: audit.mem_total,
        lambda audit: audit.seen["MemTotal"] * 1024 // PAGE_BYTES,
    )
