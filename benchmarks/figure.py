# SPDX-License-Identifier: GPL-2.0-only
"""The figure of the measurements: one panel per question that was measured."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from benchmarks.measures.fork import FIRST_INSTRUCTION
from benchmarks.measures.ladder import BETWEEN_DOSES
from benchmarks.measures.main_job import TURNING_POINTS
from benchmarks.table import ratio_text, value_text
from carveout.drawing import style
from carveout.wording.quantities import bytes_label

_COLUMNS = 2
_PANEL_ROWS = 2.7  # a panel's title and axis
_CURVE_ROWS = 9.5
_LABEL_CHARACTERS = 24
_NOTE_CHARACTERS = 44
_UNITS = {"s": "seconds"}
_LIMIT_COLOR = style.PALETTE[1]


@dataclass(frozen=True)
class Bars:
    """A panel with one bar per case, and the ratio of the case beside it."""

    title: str
    measure: str
    quantity: str


@dataclass(frozen=True)
class Lines:
    """A panel with one line per quantity, over the size of the case."""

    title: str
    measure: str
    x_label: str
    quantities: Mapping[str, str]
    is_log: bool = True


_PANELS: Sequence[Bars | Lines] = (
    Bars(
        "From the start of a guest to its trial's first instruction",
        "fork",
        FIRST_INSTRUCTION,
    ),
    Bars("A whole trial, wall time", "fork", "wall time of a whole trial"),
    Bars("Main job: processor time", "main_job", "processor time"),
    Bars("Main job: wall time", "main_job", "wall time"),
    Bars("Main job: turning points a minute of processor time", "main_job", TURNING_POINTS),
    Bars("A ladder of doses: trials", "ladder", "trials"),
    Bars("A ladder of doses: how close a turning point is known", "ladder", BETWEEN_DOSES),
    Bars(
        "A shell loop around QEMU: processor time a trial", "plain_qemu", "processor time a trial"
    ),
    Bars("Another revision: processor time a trial", "revision", "processor time of a whole trial"),
    Bars("virtme-ng, same kernel: wall time", "virtme_ng", "wall time"),
    Bars("A million rows to tables and figures: wall time", "rows", "wall time"),
    Lines(
        "More seeds in a cell: time a trial",
        "seeds",
        "seeds",
        {"wall time a trial": "wall", "processor time a trial": "processor"},
        is_log=False,
    ),
    Lines(
        "More guest RAM: time",
        "ram",
        "RAM of the guest",
        {name: name for name in ("boot", "save", "first fork", "fork")}
        | {"wall time of a whole trial": "whole trial, idle"},
    ),
    Lines(
        "More guest RAM: bytes",
        "ram",
        "RAM of the guest",
        {"peak memory of a QEMU": "QEMU, peak memory", "saved state on disk": "saved state"},
    ),
    Lines(
        "More cells: time",
        "cells",
        "cells, of 10 trial rows each",
        {"dry run, wall time": "dry run", "collection, wall time": "collection"},
    ),
)


def write(table: pd.DataFrame, folder: Path) -> None:
    """Draw the panels of the measures in the table, as ``bench.svg`` and ``bench.png``."""
    panels = [panel for panel in _PANELS if len(_of_panel(panel, table))]
    if not panels:
        return
    rows = [panels[start : start + _COLUMNS] for start in range(0, len(panels), _COLUMNS)]
    heights = [max(_rows(panel, table) for panel in row) for row in rows]
    figure = style.new_figure(sum(heights))
    # Each panel is a part of its own, so that long labels of one take no room of another.
    parts = figure.subfigures(len(rows), _COLUMNS, squeeze=False, height_ratios=heights)
    for row, row_parts in zip(rows, parts, strict=True):
        for panel, part in zip(row, row_parts, strict=False):
            part.suptitle(panel.title, x=0.02, ha="left", fontsize=9, fontweight="bold")
            _draw(part.subplots(), panel, table)
    style.save(figure, "bench", folder / "bench.svg", folder / "bench.png")


def _rows(panel: Bars | Lines, table: pd.DataFrame) -> float:
    if isinstance(panel, Lines):
        return _CURVE_ROWS
    lines = sum(1 + len(case["case"]) // (_LABEL_CHARACTERS + 1) for case in _cases(panel, table))
    return _PANEL_ROWS + lines


def _of_panel(panel: Bars | Lines, table: pd.DataFrame) -> pd.DataFrame:
    quantities = [panel.quantity] if isinstance(panel, Bars) else list(panel.quantities)
    return table[(table["measure"] == panel.measure) & table["quantity"].isin(quantities)]


def _cases(panel: Bars, table: pd.DataFrame) -> list[dict[Any, Any]]:
    return _of_panel(panel, table).to_dict("records")


def _draw(ax: Axes, panel: Bars | Lines, table: pd.DataFrame) -> None:
    if isinstance(panel, Bars):
        _draw_bars(ax, _cases(panel, table))
    else:
        _draw_lines(ax, panel, table)


def _draw_bars(ax: Axes, cases: Sequence[Mapping[Any, Any]]) -> None:
    values = {case["case"]: case["value"] for case in cases if case["samples"]}
    has_limit = False
    for place, case in enumerate(cases):
        if not case["samples"]:
            style.note(ax, place, textwrap.fill(case["note"], _NOTE_CHARACTERS))
            continue
        is_compared = pd.notna(case["ratio"])
        color = style.PALETTE[0] if is_compared else style.MUTED
        ax.barh(place, case["value"], height=0.62, color=color)
        end = case["value"]
        if pd.notna(case["ratio_at_most"]):
            has_limit = True
            at_most = case["ratio_at_most"] * values[case["ratio_to"]]
            end = max(end, at_most)
            ax.plot([at_most] * 2, [place - 0.42, place + 0.42], color=_LIMIT_COLOR, linewidth=2)
        text = value_text(case["value"], case["unit"])
        if is_compared:
            text += f"  (× {ratio_text(case['ratio'])})"
        _write(ax, text, end, place)
    labels = [textwrap.fill(case["case"], _LABEL_CHARACTERS) for case in cases]
    ax.set_yticks(range(len(cases)), labels)
    ax.set_ylim(len(cases) - 0.5, -0.5)
    ax.set_xlim(0, (max(values.values(), default=0) or 1) * 1.6)  # room for the text
    ax.spines["left"].set_visible(False)
    unit = next((case["unit"] for case in cases if case["samples"]), "s")
    compared = ", and × what is grey" * any(pd.notna(case["ratio"]) for case in cases)
    limit = "; orange: the most it may be" * has_limit
    ax.set_xlabel(f"{_UNITS.get(unit, unit)}{compared}{limit}", fontsize=8)


def _write(ax: Axes, text: str, end: float, place: int) -> None:
    ax.annotate(
        text, (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
    )


def _draw_lines(ax: Axes, panel: Lines, table: pd.DataFrame) -> None:
    of_panel = _of_panel(panel, table)
    sizes: list[int] = []
    is_bytes = False
    for place, (quantity, label) in enumerate(panel.quantities.items()):
        rows = of_panel[(of_panel["quantity"] == quantity) & (of_panel["samples"] > 0)]
        sizes = sorted({*sizes, *rows["size"]})
        is_bytes = "bytes" in set(rows["unit"])
        ax.plot(
            rows["size"].astype(float),
            rows["value"].astype(float),
            color=style.PALETTE[place],
            marker=style.MARKERS[place],
            markersize=4,
            linewidth=1.2,
            label=label,
        )
    ax.set_xscale("log", base=2 if panel.measure == "ram" else 10)
    x_text = bytes_label if panel.measure == "ram" else "{:,.0f}".format
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: x_text(x)))
    unit = "bytes" if is_bytes else "s"
    if panel.is_log:
        base, steps = (2, (1,)) if is_bytes else (10, (1, 2, 5))
        ax.set_yscale("log", base=base)
        ax.yaxis.set_major_locator(LogLocator(base, steps))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.set_ylim(bottom=0)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: value_text(y, unit)))
    ax.grid(visible=True, axis="both")
    ax.set_xlabel(panel.x_label)
    # Above the plot, because any of its corners may hold a line.
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.1)
