# SPDX-License-Identifier: GPL-2.0-only
"""The report: one self-contained page that holds everything, and a table for the terminal."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_metadata, made_runs, made_trials
from benchmarks.synthetic.variants import LOADS, VARIANTS

from carveout.common.sizes import GIB, KIB, MIB
from carveout.report.text import comparison_text, frontier_text
from carveout.report.views import (
    ASIDE,
    BACK,
    COMPARISON_PARTS,
    LEND,
    MEMMAP,
    SUCCESS,
    VM_PART,
    comparison_view,
    failures_view,
    frontier_view,
    vm_view,
)
from carveout.report.write import inline_svg, write_report
from carveout.statistics.curves import describe_curves
from carveout.statistics.pair import find_changes
from carveout.statistics.summarize import describe_variants, list_failures, summarize
from carveout.tables.parquet import read_table, write_table
from carveout.wording.labels import Labels
from carveout.wording.quantities import bytes_label, ns_label, percent_label, success_label

REPORT = Path("workflow/report")
DESCRIPTIONS = sorted(Path("workflow/strategies").glob("*/strategy.yaml"))
SVG = '<?xml version="1.0"?>\n<svg width="9pt" height="5pt" viewBox="0 0 9 5"><g id="a"/>'
INTERVAL = {"success_low": 0.6401, "success_high": 0.9479, "deterministic": False}
SVG += '<use xlink:href="#a" clip-path="url(#a)"/></svg>\n'


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    folder = tmp_path / "tables"
    write_table("trials", made_trials(), folder / "trials.parquet", made_metadata())
    write_table("runs", made_runs(), folder / "runs.parquet")
    trials = read_table("trials", folder / "trials.parquet")
    write_table("summary", summarize(trials), folder / "summary.parquet")
    write_table("variants", describe_variants(trials), folder / "variants.parquet")
    write_table("failures", list_failures(trials), folder / "failures.parquet")
    points = describe_curves(read_table("summary", folder / "summary.parquet"), trials)
    write_table("curves", points, folder / "curves.parquet")
    write_table("changes", find_changes(trials, ()), folder / "changes.parquet")
    return folder


def ladder_of(summary: pd.DataFrame, granted_mib: Mapping[float, int]) -> pd.DataFrame:
    """The turning points of curves that all have the same means."""
    doses = [
        summary.assign(dose_target=dose, granted_mean_bytes=float(granted * MIB))
        for dose, granted in granted_mib.items()
    ]
    return describe_curves(pd.concat(doses), made_trials().iloc[:0])


def write(tables: Path, labels: Labels) -> str:
    svg = tables.parent / "success.svg"
    svg.write_text(SVG)
    page = tables.parent / "report.html"
    write_report(
        page,
        tables=tables,
        labels=labels,
        figures=[svg],
        captions=[REPORT / "success.rst"],
        template=REPORT / "report.html.jinja",
        facts={"To repeat it": "snakemake <&>"},
    )
    return page.read_text()


def test_the_report_holds_everything_and_needs_nothing_else(tables: Path) -> None:
    labels = Labels.read(DESCRIPTIONS)
    page = write(tables, labels)
    assert not re.search(r'(src|href)="(?!#)', page)
    assert page.index("<table") < page.index("What was run") < page.index("<svg")
    for word in (
        *("6.12.107+deb13-arm64", "7.2.15", "220 trials, 440 lends", "49.7 %", "4f4f"),
        *(
            "EBUSY",
            "oom",
            "slab",
            "snakemake &lt;&amp;&gt;",
            "4/5\n(38–96 %)",
            "0 to 40 %",
            "least under",
        ),
        *("Share of trials", "do not predict hardware"),
    ):
        assert word in page
    for strategy in labels.strategies(read_table("variants", tables / "variants.parquet")):
        assert labels.descriptions[strategy].title in page


def test_the_same_tables_give_the_same_page(tables: Path) -> None:
    assert write(tables, Labels()) == write(tables, Labels())


def test_bars_stand_behind_success_rates_alone(tables: Path) -> None:
    page = write(tables, Labels())
    tables_of_page = re.findall(r'<table id="(\w+)" class="comparison">', page)
    barred = {cell.partition("_row")[0] for cell in re.findall(r"#(\w+_row0_col0)[, ]", page)}
    assert len(set(tables_of_page)) == len(COMPARISON_PARTS)
    (of_success,) = (
        place for place, parts in enumerate(COMPARISON_PARTS.values()) if SUCCESS in parts
    )
    assert barred == {tables_of_page[of_success]}


def test_strategies_without_a_folder_are_shown_by_name(tables: Path) -> None:
    page = write(tables, Labels())
    assert all(f"{v.strategy} {v.variant}" in page for v in VARIANTS)


def test_a_run_without_any_success_has_a_report(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    refused = trials[trials["outcome"] == "refused"]
    write_table("trials", refused, tables / "trials.parquet")
    write_table("summary", summarize(refused), tables / "summary.parquet")
    write_table("variants", describe_variants(refused), tables / "variants.parquet")
    write_table("failures", list_failures(refused), tables / "failures.parquet")
    assert "0/" in write(tables, Labels())


def test_ladders_come_first_and_say_how_much_is_lent(tables: Path) -> None:
    summary = read_table("summary", tables / "summary.parquet")
    points = ladder_of(summary, {10: 512, 20: 512, 30: 0})
    write_table("curves", points, tables / "curves.parquet")
    page = write(tables, Labels.read(DESCRIPTIONS))
    assert page.index("How much can be lent") < page.index("The comparison over all loads")
    text = frontier_text(points, Labels.read(DESCRIPTIONS))
    (line,) = (line for line in text.splitlines() if line.startswith(" CMA area"))
    assert line.count("512 MiB") == len(LOADS)
    assert line.count("25%") == len(LOADS)
    assert line.count("≥ 30%") == len(LOADS), "no load was refused"


def test_a_load_that_was_refused_is_carried_up_to_the_dose_before(tables: Path) -> None:
    summary = read_table("summary", tables / "summary.parquet")
    refused = summary.assign(dose_target=90.0, load_refused=1)
    points = describe_curves(
        pd.concat([summary.assign(dose_target=50.0), refused]), made_trials().iloc[:0]
    )
    assert set(points["carries_until_dose"]) == {50}
    assert set(points["refused_from_dose"]) == {90}
    view = frontier_view(points, Labels())
    assert set(view.loc[:, (slice(None), "carried up to")].to_numpy().flatten()) == {"50 %"}


def test_what_another_kernel_changes_is_on_the_page_of_two_kernels(tables: Path) -> None:
    labels = Labels.read(DESCRIPTIONS)
    assert "What the kernel changes" not in write(tables, labels), "there is one kernel"
    trials = made_trials(8)
    other = trials.assign(kernel="my-tree", lend_ns=trials["lend_ns"] * 3)
    changes = find_changes(pd.concat([trials, other]), {("debian-6.12-arm64", "my-tree")})
    write_table("changes", changes, tables / "changes.parquet")
    page = write(tables, labels)
    assert page.index("<table") < page.index("What the kernel changes")
    assert page.index("What the kernel changes") < page.index("What was run")
    assert page.count("+200.0 %") == changes["significant"].sum() > 0


def with_vms(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials in which a VM ran in all that was lent, at 10 ms per GiB; that of mem is a device's.

    Where nothing was lent, the host died of it.
    """
    ran, hidden = trials["lent_bytes"] > 0, trials["strategy"] == "mem"
    lent = trials["lent_bytes"].where(ran)
    counts = dict.fromkeys(("vm_stage2_faults", "vm_stage2_table_bytes", "vm_uncached_bytes"), 1)
    none = dict.fromkeys(("vm_block_bytes", "vm_gigantic_bytes"), 0)
    return trials.assign(
        vm_outcome=ran.map({True: "ran", False: "host_died"}),
        vm_way=hidden.map({True: "cacheable_code_beside", False: "cacheable"}),
        vm_first_instruction_ns=lent.where(lent.isna(), 2_000_000),
        vm_run_ns=lent / GIB * 10_000_000,
        vm_page_bytes=lent,
        vm_device_bytes=lent.where(hidden, 0),
        vm_survived=ran,
        **counts,
        **none,
    )


def test_vms_have_a_heading_and_a_devices_memory_has_no_time_to_compare(tables: Path) -> None:
    comparison = describe_variants(with_vms(read_table("trials", tables / "trials.parquet")))
    view = vm_view(comparison, Labels())
    assert view is not None
    by_name: dict[Any, Any] = {name: row["VM"] for name, row in view.iterrows()}
    times = {name: row["all pages, per GiB"] for name, row in by_name.items()}
    assert times.pop("mem carveout") == "–"
    assert set(times.values()) == {"10 ms"}
    assert {row["first instruction"] for row in by_name.values()} == {"2 ms"}
    assert by_name["mem carveout"]["monitor maps it"] == "cached, code beside"
    assert by_name["cma area"]["monitor maps it"] == "cached"
    # Of the hosts that died of it, too.
    assert set(view["VM", "else"]) == {"–", "host died"}
    asked = comparison.groupby(["strategy", "variant"])["vm_asked"].max()
    assert set(view["VM", "ran"].str.partition(" of ")[2].astype(int)) == set(asked) == {20}
    assert VM_PART not in write(tables, Labels())
    write_table("variants", comparison, tables / "variants.parquet")
    assert VM_PART in write(tables, Labels())


def test_single_doses_are_no_frontier(tables: Path) -> None:
    assert "How much can be lent" not in write(tables, Labels())


def test_a_run_without_failures_says_so(tables: Path) -> None:
    write_table(
        "failures",
        read_table("failures", tables / "failures.parquet").iloc[:0],
        tables / "failures.parquet",
    )
    assert "Every lend was granted" in write(tables, Labels())


def test_the_text_table_has_a_line_a_variant_and_cuts_nothing_off(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    labels = Labels.read(DESCRIPTIONS)
    text = comparison_text(comparison, labels)
    lines = text.splitlines()
    assert lines[0].startswith("debian-6.12-arm64 (6.12.107-1), 4 GiB RAM")
    for made in VARIANTS:
        start = f" {labels.variant(made.strategy, made.variant)}  "
        assert len([line for line in lines if line.startswith(start)]) == len(COMPARISON_PARTS)
    assert "…" not in text
    assert max(map(len, lines)) <= 150


def of_cma(frame: pd.DataFrame, group: str, name: str) -> str:
    """A cell of the comparison's row of a CMA area."""
    view = comparison_view(frame, Labels.read(DESCRIPTIONS))
    return str(view.loc["CMA area", (group, name)])


def test_memmap_of_lent_memory_is_told_for_each_request(tables: Path) -> None:
    """Who hides memory in whole blocks alone pays for a request that is smaller than one."""
    comparison = read_table("variants", tables / "variants.parquet")
    small = comparison["request_bytes"] == 256 * MIB
    comparison.loc[small, "memmap_per_lent_gib_bytes"] = 8 * MIB
    comparison.loc[~small, "memmap_per_lent_gib_bytes"] = 0
    assert of_cma(comparison, MEMMAP, "per GiB lent, 256 MiB") == "8 MiB"
    assert of_cma(comparison, MEMMAP, "per GiB lent, 1 GiB") == "0"


def test_clearing_is_of_the_largest_request_that_was_granted_whole(tables: Path) -> None:
    """Of one that was granted in part, clearing is not known, and all else is."""
    comparison = read_table("variants", tables / "variants.parquet")
    small = comparison["request_bytes"] == 256 * MIB
    comparison.loc[small, "zero_ns_p50"] = 5e6
    comparison.loc[~small, "zero_ns_p50"] = float("nan")
    assert of_cma(comparison, LEND, "clearing, apart") == "5 ms"


def test_a_cma_area_stands_apart_from_the_zone(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    view = comparison_view(comparison, Labels.read(DESCRIPTIONS))
    zone = view.loc["alloc_contig_range(), ZONE_MOVABLE"]
    assert zone[(ASIDE, "CMA area")] == "64 MiB"
    assert zone[(ASIDE, "ZONE_MOVABLE")] == "1 GiB"


def test_what_is_kept_back_stands_beside_what_is_regained(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    assert of_cma(comparison, BACK, "regained") == "100 %"
    assert of_cma(comparison, BACK, "kept back") == "0 %"


def test_a_failure_says_who_refused_and_what_the_kernel_logged(tables: Path) -> None:
    labels = Labels.read(DESCRIPTIONS)
    view = failures_view(read_table("failures", tables / "failures.parquet"), labels)
    assert set(view["who refused"]) >= {"kernel", "driver", "carveout"}
    assert view["the kernel's log, for example"].str.contains("cma_alloc").any()
    searched = view[view["reason"] == "no candidate"]
    assert set(searched["who refused"]) == {"carveout"}
    assert set(searched["errno"]) == {"–"}


def test_two_machines_are_two_tables(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    both = pd.concat([comparison, comparison.assign(ram_bytes=8 * GIB)])
    assert comparison_text(both, Labels()).count("8 GiB RAM") == len(COMPARISON_PARTS)


def test_a_kernel_that_is_not_the_pinned_one_says_so(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    moved = comparison.assign(kernel_version="6.12.117-1")
    wanted = "debian-6.12-arm64 (6.12.117-1 in place of the pinned 6.12.107-1), 4 GiB RAM"
    assert wanted in comparison_text(moved, Labels())
    both = comparison_text(pd.concat([comparison, moved]), Labels())
    tables_of_both = 2 * len(COMPARISON_PARTS)
    assert both.count("4 GiB RAM") == tables_of_both, "kernels of two versions never mix"


def test_inlined_figures_have_ids_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "one.svg").write_text(SVG)
    inlined = str(inline_svg(tmp_path / "one.svg"))
    assert inlined.startswith('<svg viewBox="0 0 9 5">')
    assert 'id="one-a"' in inlined
    assert 'href="#one-a" clip-path="url(#one-a)"' in inlined


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (bytes_label(GIB), "1 GiB"),
        (bytes_label(62.5 * MIB), "62.5 MiB"),
        (bytes_label(1000 * MIB), "1000 MiB"),
        (bytes_label(-3 * KIB), "-3 KiB"),
        (bytes_label(0), "0"),
        (bytes_label(None), "–"),
        (ns_label(1_234_567), "1.23 ms"),
        (ns_label(999), "999 ns"),
        (ns_label(100e9), "100 s"),
        (percent_label(0.874), "87 %"),
        (percent_label(float("nan")), "–"),
        (success_label({"successes": 17, "trials": 20} | INTERVAL), "17/20 (64–95 %)"),
        (
            success_label({"successes": 3, "trials": 3, "deterministic": True}),
            "3/3 (deterministic)",
        ),
        (success_label({"successes": 850, "trials": 1000} | INTERVAL), "85.0 % (64.0–94.8 %)"),
    ],
)
def test_quantities_for_people(text: str, wanted: str) -> None:
    assert text == wanted
