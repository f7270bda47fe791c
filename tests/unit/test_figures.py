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
from carveout.common.sizes import GIB, MIB
from carveout.drawing import style
from carveout.drawing.catalogue import CATALOGUE
from carveout.figures import frontier, success
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
    command = [sys.executable, "-m", "carveout.drawing.draw", figure, *paths]
    outputs = ["--svg", f"{folder / figure}.svg", "--png", f"{folder / figure}.png"]
    descriptions = ["--descriptions", *map(str, DESCRIPTIONS)]
    return subprocess.run(
        [*command, "--where", *where, *descriptions, *outputs],
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
        ("accounts", []),
        ("success", []),
        ("cost", []),
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
    return " ".join(text.get_text() for text in figure.findobj(Text))


def test_a_variant_that_never_succeeds_is_shown(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    refused = trials["strategy"] == "cma"
    trials.loc[refused, "outcome"] = "refused"
    trials.loc[refused, "granted_bytes"] = 0
    trials.loc[refused, "lent_bytes"] = 0
    assert "no success in 20 trials" in texts(cost.draw(trials, Labels()))
    assert "never lent" in texts(memmap_overhead.draw(describe_variants(trials), Labels()))


def test_trials_that_all_failed_are_drawn(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    refused = trials[trials["outcome"] == "refused"]
    for figure in (
        cost.draw(refused, Labels()),
        success.draw(summarize(refused), Labels()),
        memmap_overhead.draw(describe_variants(refused), Labels()),
    ):
        figure.savefig("/dev/null", format="svg")


def test_machines_stand_below_each_other(tables: Path) -> None:
    trials = read_table("trials", tables / "trials.parquet")
    both = pd.concat([trials, trials.assign(kernel="other")])
    for figure in (
        cost.draw(both, Labels()),
        success.draw(summarize(both), Labels()),
        memmap_overhead.draw(describe_variants(both), Labels()),
    ):
        assert "other (6.12.107-1), 4 GiB RAM" in texts(figure)
        assert len(figure.subfigs) == 2


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


def test_who_pays_for_the_memmap_is_drawn(tables: Path) -> None:
    comparison = read_table("variants", tables / "variants.parquet")
    one = comparison[comparison["strategy"] == "virtio-mem"].copy()
    paid = {"memmap_host_bytes": 8, "memmap_self_bytes": 3, "memmap_nobody_bytes": 5}
    for name, mib in paid.items():
        one[name] = mib * MIB
    figure = memmap_overhead.draw(one, Labels())
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


def test_the_frontier_has_a_curve_of_all_doses_beside_the_ideal(tables: Path) -> None:
    summary = read_table("summary", tables / "summary.parquet", frontier.COLUMNS["summary"])
    mem = summary[(summary["strategy"] == "mem") & (summary["load"] == "anonymous_memory")]
    mem = mem[mem["request_bytes"] == mem["request_bytes"].max()]
    doses = [10.0, 30.0, 60.0]
    curve = pd.concat([mem] * len(doses)).assign(
        dose_target=pd.array(doses, "Float64"),
        granted_mean_bytes=pd.array([512.0 * MIB, 256.0 * MIB, 0.0], "Float64"),
        physical_bytes=pd.array([4096.0 * MIB - 300 * MIB] * 3, "Float64"),
    )
    (axes,) = frontier.draw(curve, Labels.read(DESCRIPTIONS)).subfigs[0].get_axes()
    ideal, granted = axes.get_lines()
    for line, wanted_mib in ((ideal, [300, 300, 300]), (granted, [512, 256, 0])):
        drawn = np.asarray(line.get_xydata(), dtype=float).tolist()
        assert drawn == [[dose, mib] for dose, mib in zip(doses, wanted_mib, strict=True)]


def test_a_single_dose_is_the_only_mark_on_its_axis(tables: Path) -> None:
    summary = read_table("summary", tables / "summary.parquet", frontier.COLUMNS["summary"])
    drawn = frontier.draw(summary, Labels.read(DESCRIPTIONS)).subfigs[0].get_axes()
    # The panels of the first row have titles; all of a column share their marks.
    marks = {ax.get_title("left"): list(ax.get_xticks()) for ax in drawn}
    assert marks["idle"] == []
    assert marks["anonymous memory"] == [50.0]
