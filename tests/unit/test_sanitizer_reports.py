# SPDX-License-Identifier: GPL-2.0-only
"""Reports of sanitizers on consoles: which are found, which count, what else is let alone."""

import json
from pathlib import Path

import pytest

from tests.sanitizers.reports import reports_in, reports_of, summary, unfinished_trials

STAMP = "[    1.234567] "


@pytest.mark.parametrize(
    "title",
    [
        "BUG: KASAN: slab-use-after-free in census_take+0x1c/0x40 [carveout]",
        "BUG: KASAN: vmalloc-out-of-bounds in memchr_inv+0x1c/0x40",
        "BUG: KCSAN: data-race in census_take [carveout] / lends_add [carveout]",
        "BUG: KCSAN: data-race in free_pages_prepare / frame_class [carveout]",
        "BUG: sleeping function called from invalid context at mm/slab.h:337",
        "BUG: Bad page state in process init  pfn:41000",
        "BUG: MAX_LOCKDEP_CHAINS too low!",
        "WARNING: possible circular locking dependency detected",
        "WARNING: suspicious RCU usage",
        "WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1 alloc_contig_range+0x1c/0x40",
        "INFO: possible recursive locking detected",
        "INFO: trying to register non-static key.",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "UBSAN: shift-out-of-bounds in mm/page.c:3:4",
        "Unable to handle kernel paging request at virtual address dfff800000000001",
        "Internal error: Oops: 0000000096000006 [#1] PREEMPT SMP",
        "kernel BUG at mm/page.c:3!",
        "list_add corruption. prev->next should be next (1), but was 2.",
    ],
)
def test_every_kind_of_report_is_found_and_counts(title: str) -> None:
    (report,) = reports_in(f"{STAMP}before\n{STAMP}=====\n{STAMP}{title}\n{STAMP}after\n")
    assert report.title == title
    assert report.text == f"{title}\nafter"
    assert report.counts


@pytest.mark.parametrize(
    "line",
    [
        "hot_removed: 12 censuses meanwhile",
        "Boot memory [x y] offlining attempted",
        "virtio_mem virtio0: plugged size: 0x10000000",
        "== seed 1: console ==",
    ],
)
def test_what_else_is_said_is_no_report(line: str) -> None:
    assert reports_in(f"{STAMP}{line}\n{line}\n") == []


def test_races_between_the_kernels_own_functions_do_not_count() -> None:
    console = f"{STAMP}BUG: KCSAN: data-race in folio_batch_move_lru / lru_add_fn\n"
    (report,) = reports_in(console)
    assert not report.counts


def test_reports_one_after_another_are_told_apart() -> None:
    lines = ["BUG: KASAN: a", "its stack", "WARNING: b", "another stack"]
    reports = reports_in("\n".join(STAMP + line for line in lines))
    texts = ["BUG: KASAN: a\nits stack", "WARNING: b\nanother stack"]
    assert [report.text for report in reports] == texts


def results_with(folder: Path, console: str, cause: str | None) -> Path:
    """A results folder with one cell."""
    for path, text in {
        "logs/boots/k/cma/idle.log": console,
        "trials/k/cma/idle.jsonl": json.dumps({"ending": {"cause": cause, "message": "words"}}),
    }.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    return folder


def test_reports_are_shown_once_with_how_often_and_where(tmp_path: Path) -> None:
    console = "BUG: KASAN: a\nits stack\nBUG: KASAN: a\nits stack\nBUG: KCSAN: data-race in b / c\n"
    reports = reports_of(results_with(tmp_path, console, None))
    found = summary(reports, counting=True)
    assert found.splitlines() == [
        "2 times in 1 cells, such as logs/boots/k/cma/idle.log:",
        "    BUG: KASAN: a",
        "    its stack",
    ]
    assert "data-race in b / c" in summary(reports, counting=False)
    assert unfinished_trials(tmp_path) == []


def test_a_trial_that_did_not_end_is_named(tmp_path: Path) -> None:
    results_with(tmp_path, "", "hang")
    assert unfinished_trials(tmp_path) == ["trials/k/cma/idle.jsonl: hang: words"]
