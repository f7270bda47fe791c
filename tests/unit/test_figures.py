# SPDX-License-Identifier: GPL-2.0-only
"""Figures: drawn from tables alone, the same bytes each time, failures shown."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.synthetic.trials import made_phases, made_trials
from benchmarks.synthetic.variants import VARIANTS
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from carveout.books import accounts, memmap_by_ram, memmap_overhead, pageblock_map
from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, MIB
from carveout.drawing import style
from carveout.drawing.catalogue import CATALOGUE
from carveout.drawing.marks import Mark
from carveout.figures import success
from carveout.statistics.summarize import describe_variants, summarize
from carveout.tables.accounts import DRAWN
from carveout.tables.definitions import PAGEBLOCK_LETTERS
from carveout.tables.parquet import read_table, write_table
from carveout.times import cost
from carveout.wording.labels import Labels

DESCRIPTIONS = sorted(Path("workflow/strategies").glob("*/strategy.yaml"))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    write_table("trials", made_trials(), folder / "trials.parquet")
    trials = read_table("trials", folder / "trials.parquet")
    write_table("summary", summarize(trials), folder / "summary.parquet")
    write_table("variants", describe_variants(trials), folder / "variants.parquet")
    write_table("phases", made_phases(), folder / "phases.parquet")
    return folder


def draw(tables: Path, figure: str, folder: Path, *where: str) -> subprocess.CompletedProcess[str]:
    paths = [f"{tables / table}.parquet" for table in CATALOGUE[figure].tables]
    command = [sys.executable, "-m", "carveout.drawing.draw", figure, "--tables", *paths]
    descriptions = ["--descriptions", *map(str, DESCRIPTIONS)]
    return subprocess.run(
        [*command, "--trial", *where, *descriptions, "--folder", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": "workflow"},
    )


@pytest.mark.parametrize(
    ("figure", "where"),
    [
        ("frontier", []),
        ("memmap_overhead", []),
        ("idle", []),
        ("accounts", []),
        ("success", []),
        ("pareto", []),
        ("cost", []),
        ("cost_ecdf", []),
        ("pageblock_map", ["strategy=cma", "variant=area", "seed=1", "cycle=1"]),
    ],
)
def test_a_figure_is_drawn_to_the_same_bytes(
    figure: str, where: list[str], tables: Path, tmp_path: Path
) -> None:
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        done = draw(tables, figure, tmp_path / run, *where)
        assert done.returncode == 0, done.stderr
    for kind in ("svg", "png"):
        name = f"{figure}.{kind}"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "<dc:date>" not in (tmp_path / "a" / f"{figure}.svg").read_text()


def test_a_trial_that_is_not_there_is_one_line(tables: Path, tmp_path: Path) -> None:
    done = draw(tables, "pageblock_map", tmp_path, "strategy=none", "seed=1")
    assert done.returncode == 1
    assert done.stderr.startswith("carveout: ")
    assert "strategy=none" in done.stderr
    assert "figures.pageblock_map" in done.stderr
    assert list(tmp_path.iterdir()) == []


def texts(figure: Figure) -> str:
    """All that is written in a figure; a name may be broken into lines."""
    return " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def overhead(trials: pd.DataFrame, marks: tuple[Mark, ...] = ()) -> Figure:
    return memmap_overhead.draw(describe_variants(trials), trials, Labels(), marks)


def test_a_variant_that_never_succeeds_is_shown(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    refused = trials["strategy"] == "cma"
    trials.loc[refused, "outcome"] = "refused"
    trials.loc[refused, "granted_bytes"] = 0
    trials.loc[refused, "lent_bytes"] = 0
    assert "nothing lent in 20 trials" in texts(cost.draw(trials, Labels()))
    assert "never lent" in texts(overhead(trials))


def test_trials_that_all_failed_are_drawn(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    refused = trials[trials["outcome"] == "refused"]
    for figure in (
        cost.draw(refused, Labels()),
        success.draw(summarize(refused), Labels()),
        overhead(refused),
    ):
        figure.savefig("/dev/null", format="svg")


def test_machines_stand_below_each_other(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    both = pd.concat([trials, trials.assign(kernel="other")])
    for figure in (
        cost.draw(both, Labels()),
        success.draw(summarize(both), Labels()),
        overhead(both),
    ):
        assert "other (6.12.107-1), 4 GiB RAM" in texts(figure)
        # Each has a legend, panels and notes.
        assert len(figure.subfigs) == 2 * 3


def test_many_trials_are_boxes_not_dots(tmp_path: Path) -> None:
    many = made_trials(40)
    write_table("trials", many, tmp_path / "trials.parquet")
    frame = read_table("trials", tmp_path / "trials.parquet", cost.COLUMNS["trials"])
    style.save(cost.draw(frame, Labels()), "cost", tmp_path / "c.svg", tmp_path / "c.png")
    assert (tmp_path / "c.svg").stat().st_size < 2_000_000


def test_the_map_of_a_trial_that_died_says_so(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", where={"strategy": "cma"})
    died = phases[phases["phase"] == "before"]
    assert "the trial ended before this census" in texts(pageblock_map.draw(died, Labels()))


def bars(figure: Figure, panel: int = 0) -> list[list[Rectangle]]:
    """The parts of each bar of a figure of stacked bars, from the top, from the left."""
    stacked: dict[float, list[Rectangle]] = {}
    for part in figure.axes[panel].patches:
        assert isinstance(part, Rectangle)
        stacked.setdefault(round(part.get_y(), 6), []).append(part)
    return [stacked[y] for y in sorted(stacked)]


def test_each_bar_of_the_books_is_as_long_as_the_ram(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", accounts.COLUMNS["phases"])
    drawn = bars(accounts.draw(phases, Labels()))
    assert len(drawn) == 3 * len(VARIANTS)
    for parts in drawn:
        assert sum(part.get_width() for part in parts) == pytest.approx(4096)
    lent = [parts[list(DRAWN).index("lent")].get_width() for parts in drawn]
    assert lent == pytest.approx([0, 256, 0] * len(VARIANTS))


def test_the_books_are_of_the_largest_request_that_was_lent_anything(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", accounts.COLUMNS["phases"])
    cma = phases[phases["strategy"] == "cma"]
    larger = cma.assign(cycle=2, request_bytes=2 * cma["request_bytes"])
    refused = larger.assign(
        account_free_bytes=larger["account_free_bytes"] + larger["account_lent_bytes"],
        account_lent_bytes=0,
    )
    figure = accounts.draw(pd.concat([cma, refused]), Labels())
    assert bars(figure)[1][-1].get_width() == pytest.approx(256)
    refused = refused[refused["phase"] != "after"]
    assert "nothing was ever lent" in texts(accounts.draw(refused, Labels()))


def test_the_parts_of_a_lend_are_all_of_it(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet", cost.COLUMNS["trials"])
    figure = cost.draw(trials[trials["strategy"] == "cma"], Labels())
    parts = [patch for ax in figure.axes for patch in ax.patches if isinstance(patch, Rectangle)]
    assert sum(part.get_width() for part in parts) == pytest.approx(100, abs=0.1)
    shown = texts(figure)
    for word in ("search", "migrate", "reclaim", "map", "rest", "clearing"):
        assert word in shown


def costs(tables: Path, lent_bytes: list[int]) -> Figure:
    """Of lends of 512 MiB that took 1 ms each, whatever they got."""
    trials = read_table("trials", tables / "trials.parquet", cost.COLUMNS["trials"])
    one = trials[(trials["strategy"] == "cma") & (trials["load"] == "idle")].head(1)
    made = pd.concat([one] * len(lent_bytes), ignore_index=True).assign(
        request_bytes=512 * MIB, lent_bytes=lent_bytes, granted_bytes=lent_bytes,
        lend_ns=1_000_000, give_back_ns=500_000, verify="ok",
    )  # fmt: skip
    return cost.draw(made, Labels())


def drawn_times(figure: Figure) -> dict[str, list[float]]:
    """The times of lends, by the colour of their faces."""
    dots = [line for line in figure.axes[0].get_lines() if line.get_marker() in ("o", "D")]
    return {
        str(line.get_markerfacecolor()): np.asarray(line.get_xdata(), dtype=float).tolist()
        for line in dots
    }


def test_a_cost_is_of_what_was_lent_and_says_where_that_is_less(tables: Path) -> None:
    figure = costs(tables, [512 * MIB, 256 * MIB, 0])
    times = drawn_times(figure)
    assert times.pop("white") == [4e6]
    assert list(times.values()) == [[2e6]]
    (back,) = [line for line in figure.axes[1].get_lines() if line.get_markerfacecolor() == "white"]
    assert np.asarray(back.get_xdata(), dtype=float).tolist() == [2e6]


def test_a_box_is_hollow_where_any_lend_got_less(tables: Path) -> None:
    whole, short = [512 * MIB] * 40, [256 * MIB]
    assert "white" not in drawn_times(costs(tables, whole))
    assert drawn_times(costs(tables, whole + short)) == {"white": [2e6]}


def test_who_pays_for_the_memmap_is_drawn(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    one = comparison[comparison["strategy"] == "virtio-mem"].copy()
    paid = {"memmap_host_bytes": 8, "memmap_self_bytes": 3, "memmap_nobody_bytes": 5}
    for name, mib in paid.items():
        one[name] = mib * MIB
    trials = read_table("trials", tables / "trials.parquet")
    figure = memmap_overhead.draw(one, trials, Labels())
    bars_lent = [part.get_width() for part in bars(figure, panel=1)[0]]
    assert bars_lent == pytest.approx(list(paid.values()))
    written = texts(figure)
    assert " 11 " in written  # what costs memory: nobody pays the rest
    for who in ("paid by the host", "by the memory that it describes", "by nobody"):
        assert f"memmap {who}" in written


def counted(tables: Path, *memmap_mib: float) -> pd.DataFrame:
    """Hosts of 1, 2, ... GiB with pages of 4 KiB that were only counted, beside those that lend."""
    phases = read_table("phases", tables / "phases.parquet", memmap_by_ram.COLUMNS["phases"])
    one = phases.iloc[:1]
    hosts = [
        one.assign(
            kernel="counted",
            ram_bytes=gib * GIB,
            request_bytes=None,
            memmap_bytes=round(mib * MIB),
        )
        for gib, mib in enumerate(memmap_mib, start=1)
    ]
    return pd.concat([phases, *hosts])


def test_the_memmap_is_drawn_over_what_is_computed(tables: Path) -> None:
    figure = memmap_by_ram.draw(counted(tables, 16, 32, 40), Labels())
    against, differences = figure.get_axes()
    computed, found = against.get_lines()
    assert np.asarray(computed.get_ydata(), dtype=float).tolist() == [16, 32, 48]
    assert np.asarray(found.get_ydata(), dtype=float).tolist() == [16, 32, 40]
    assert [text.get_text() for text in differences.texts] == ["0", "0", "-8"]
    assert "4 KiB pages" in texts(figure)


def test_hosts_that_were_only_counted_are_in_no_other_figure(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", accounts.COLUMNS["phases"])
    more = phases.iloc[:1].assign(request_bytes=None, kernel="counted")
    figure = accounts.draw(pd.concat([phases, more]), Labels())
    assert "counted" not in texts(figure)


def test_every_class_of_pageblock_has_a_colour_of_its_own(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", where={"strategy": "cma"})
    letters = PAGEBLOCK_LETTERS * 10
    legend = texts(pageblock_map.draw(phases.assign(pageblocks=letters), Labels()))
    assert all(f"{letter}  " in legend for letter in PAGEBLOCK_LETTERS)


def test_the_map_counts_what_it_shows(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", where={"strategy": "cma"})
    legend = texts(pageblock_map.draw(phases, Labels()))
    assert "L  lent: 0 → 256 MiB → 0" in legend
    assert "1 GiB" in legend


def test_the_memmap_is_held_against_what_is_computed_and_what_others_published(
    tables: Path,
) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    where = dict(zip(("strategy", "variant"), Labels().variants(trials)[-1], strict=True))
    half = Mark("half of it is saved", 8 * MIB, "a paper", where)
    other = Mark("of no strategy that was run", 1, "another paper", {"strategy": "none"})
    figure = overhead(trials, (half, other))
    lent = figure.axes[1]
    # 4 GiB of RAM in pages of 4 KiB, of which 1 GiB is lent.
    computed = [line for line in lent.get_lines() if line.get_linestyle() == "--"]
    assert [list(np.asarray(line.get_xdata())) for line in computed] == [[64, 64]]
    marks = [line for line in lent.get_lines() if line.get_marker() == "d"]
    rows = Labels().variants(trials)
    ((x, y),) = np.asarray(marks[0].get_xydata(), dtype=float).tolist()
    assert len(marks) == 1
    assert x == pytest.approx(64 - 8)
    assert rows[int(y)] == rows[-1]
    assert "published, not measured here: half of it is saved. Source: a paper." in texts(figure)
    assert "another paper" not in texts(figure)


def test_a_map_is_of_one_trial_alone(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", where={"strategy": "cma"})
    later = phases.assign(cycle=phases["cycle"] + 1)
    with pytest.raises(CarveoutError, match=r"figures\.pageblock_map of the config"):
        pageblock_map.draw(pd.concat([phases, later]), Labels())


def test_the_map_begins_before_the_load_where_that_was_counted(tables: Path) -> None:
    phases = read_table("phases", tables / "phases.parquet", where={"strategy": "cma"})
    before = phases[phases["phase"] == "before"]
    unloaded = before.assign(
        phase="unloaded", pageblocks=before["pageblocks"].str.replace("M", "F")
    )
    figure = pageblock_map.draw(pd.concat([unloaded, phases]), Labels())
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == ["before the load", "loaded", "lent", "given back"]
    assert len(pageblock_map.draw(phases, Labels()).axes) == 3
