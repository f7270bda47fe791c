# SPDX-License-Identifier: GPL-2.0-only
"""What all figures share: pages, fonts, colours, rows of variants, and how they are saved.

Heights are given in rows, a row being what one variant of a list takes, and widths in em, the size
of the font: a figure is laid out anew for the page on which it is read, never just scaled.
"""

import io
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from carveout.common.errors import CarveoutError
from carveout.common.files import write_atomically
from carveout.drawing.sheets import Pixels, cuts
from carveout.wording.labels import Labels
from carveout.wording.quantities import bytes_label, ns_label

ROW_EM = 2.4
# What the names of variants take of a figure's width.
NAMES_EM = 16.0
INK = "#222222"
FAINT = "#d9d9d9"
MUTED = "#767676"
WRONG = "#C23B22"
# What is known from elsewhere, and not measured.
REFERENCE = "#7A3E9D"

# People with any kind of colour vision tell these apart: seaborn's palette "colorblind", without
# its grey, the eighth, which is for the baseline.
PALETTE = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#fbafe4"),
    *("#000000", "#ece133", "#56b4e9"),
)
MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*", "<", ">")
# From nothing to all; white to blue, which grey prints keep apart.
SEQUENCE = ("#FFFFFF", "#C6DBEF", "#6BAED6", "#2171B5", "#08306B")

# How much smaller text of the size "small" is.
SMALL = 0.833
# Mean width of a letter of the font, in em, with some room to spare.
_LETTER_EM = 0.56
_BOLD_LETTER_EM = 0.67
# On a page of a fixed height no font may become smaller than this share of what it is to be.
_LEAST_SCALE = 0.6
_DPI = 200
_POINTS_AN_INCH = 72
# The attribute of an SVG that says where it is cut on paper: points from the top.
CUTS = "data-cuts"
# Of places, which are shares of the figure.
_DIGITS = 6
_FONT = "DejaVu Sans"
# Who reads an SVG may have another font, which then is no wider. Matplotlib, if it were told of
# these, would warn of each that is not here, for each text.
_OTHER_FONTS = "Verdana, Arial, sans-serif"
_SETTINGS: dict[Any, Any] = {
    "font.family": _FONT,
    "axes.titlesize": "medium",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 4,
    "axes.labelsize": "medium",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": "medium",
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "figure.titlesize": "medium",
    "figure.titleweight": "bold",
    # Letters as paths would make a page of all figures several times as large.
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Page:
    """Where a figure is read, and how large its text is there. A page of any height has none."""

    width_in: float
    font_pt: float
    height_in: float | None = None


PAGES: Mapping[str, Page] = {
    # The text of an A4 page; 400 pixels wide, its letters are 8 pixels high.
    "report": Page(6.3, 8.5),
    "column": Page(3.4, 7),
    "slide": Page(13.3, 15, 7.5),
}
_page: ContextVar[Page] = ContextVar("page", default=PAGES["report"])


@contextmanager
def on_page(name: str) -> Iterator[None]:
    """Lay out figures for one of `PAGES`, until the block ends."""
    token = _page.set(PAGES[name])
    try:
        yield
    finally:
        _page.reset(token)


def width_em() -> float:
    """Return how wide a figure is."""
    page = _page.get()
    return page.width_in * 72 / page.font_pt


def side_by_side(count: int, least_em: float, names_em: float = NAMES_EM) -> int:
    """Return how many of so many panels stand beside each other, beside the names of variants."""
    most = int((width_em() - names_em) // least_em)
    return max(1, min(count, most))


def new_figure(rows: float) -> Figure:
    """Return an empty figure of so many rows, in the style of all figures."""
    page = _page.get()
    height_in = rows * ROW_EM * page.font_pt / 72
    scale = 1.0
    if page.height_in is not None:
        scale = min(1.0, page.height_in / height_in)
        if scale < _LEAST_SCALE:
            raise CarveoutError(
                f"wanted a figure that can be read on a page {page.height_in} in high, found "
                f"one of {height_in:.1f} in; name fewer strategies, kernels, loads or granules in "
                "figures.only, or set figures.width to report"
            )
        height_in = page.height_in
    mpl.rcParams.update(_SETTINGS | {"font.size": page.font_pt * scale})
    return Figure(figsize=(page.width_in, height_in), layout="constrained", dpi=_DPI)


def font_pt() -> float:
    """Return the size of the current figure's font."""
    return float(mpl.rcParams["font.size"])


def strategy_colors(labels: Labels, frame: pd.DataFrame) -> Mapping[str, str]:
    """Return one colour per strategy; the baseline is grey."""
    others = [name for name in labels.strategies(frame) if name != "baseline"]
    colors = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(others)}
    return {"baseline": MUTED, **colors}


def draw_variant_rows(ax: Axes, labels: Labels, rows: Sequence[tuple[str, str]]) -> None:
    """Make the y axis a list of variants, the first on top, with a line between strategies."""
    names = [in_lines(name(labels, *row)) for row in rows]
    ax.set_yticks(range(len(rows)), names, linespacing=1.12)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    for place in range(1, len(rows)):
        if rows[place][0] != rows[place - 1][0]:
            ax.axhline(place - 0.5, color=FAINT, linewidth=0.8)


def in_lines(text: str) -> str:
    """Return a name in lines that fit, broken behind a comma if that does."""
    most = math.floor(NAMES_EM / _LETTER_EM)
    broken = [
        (text[: place + 1], text[place + 2 :])
        for place in range(len(text) - 1)
        if text[place : place + 2] == ", "
    ]
    fitting = [lines for lines in broken if max(map(len, lines)) <= most]
    if len(text) <= most or not fitting:
        return wrapped(text, NAMES_EM)
    return "\n".join(min(fitting, key=lambda lines: max(map(len, lines))))


def name(labels: Labels, strategy: str, variant: str) -> str:
    """Return a variant's name, marked where there is more to be known of it."""
    return labels.short(strategy, variant) + " †" * bool(labels.caveat(strategy, variant))


def within(labels: Labels, strategy: str, variant: str) -> str:
    """Return a variant's name without its strategy's, where it begins with that."""
    whole = name(labels, strategy, variant)
    title = labels.strategy(strategy)
    begins_so = whole.lower().startswith(title.lower())
    return (whole[len(title) :].lstrip(" ,") if begins_so else "") or whole


def caveats(labels: Labels, rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return the notes that explain what is marked in the names of variants."""
    found = dict.fromkeys(labels.caveat(*row) for row in rows)
    return [f"† {text}" for text in found if text]


def wrapped(text: str, em: float, *, bold: bool = False) -> str:
    """Return a text in lines of at most so many em."""
    letters = max(8, math.floor(em / (_BOLD_LETTER_EM if bold else _LETTER_EM)))
    return textwrap.fill(text, letters, break_long_words=False)


def load_title(load: str, em: float) -> str:
    """Return a load's name as the title of a panel of some width."""
    return wrapped(load.replace("_", " "), em, bold=True)


def log_times(ax: Axes, least_ns: float, most_ns: float, labels: int) -> None:
    """Make the x axis one of times on a log scale, with so many labels at most."""
    ax.set_xscale("log")
    ax.set_xlim(least_ns, most_ns)
    decades = max(1, math.ceil(math.log10(most_ns / least_ns)))
    ax.xaxis.set_major_locator(LogLocator(base=10 ** math.ceil(decades / labels)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: ns_label(value)))


def joined(curves: Iterable[Sequence[Sequence[float]]]) -> tuple[list[float], list[float]]:
    """Return the x and y of many curves as those of one, with gaps between them: drawn at once."""
    x: list[float] = []
    y: list[float] = []
    for one, other in curves:
        x += [*one, math.nan]
        y += [*other, math.nan]
    return x, y


def note(ax: Axes, row: float, text: str) -> None:
    """Write in a row why nothing is drawn there."""
    ax.annotate(
        text,
        (0, row),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
        fontstyle="italic",
        color=MUTED,
    )


def sentence(text: str) -> Figure:
    """Return a figure that says in words that there is nothing to be drawn."""
    figure = new_figure(3)
    figure.text(0.02, 0.5, wrapped(text, width_em() - 3), va="center", fontstyle="italic")
    return figure


def request_label(request_bytes: int) -> str:
    """Return what was asked for, for a legend or a panel's title."""
    return f"{bytes_label(request_bytes)} request"


def save(figure: Figure, name: str, svg: Path, png: Path) -> None:
    """Write a figure as SVG and PNG; the same figure gives the same bytes."""
    for bar in figure.findobj(Rectangle):
        bar.set_visible(bool(bar.get_width() and bar.get_height() and bar.get_visible()))
    # Laid out once, not by each canvas and twice in each.
    engine = figure.get_layout_engine()
    if engine and figure.axes:
        engine.execute(figure)
    figure.set_layout_engine("none")
    _snap(figure)
    pixels = _write_png(figure, png)
    places_pt = [line * _POINTS_AN_INCH / _DPI for line in cuts(figure, pixels)]
    write_atomically(svg, _with_cuts(_shortened(_as_svg(figure, name)), places_pt))


def _write_png(figure: Figure, png: Path) -> Pixels:
    """Write a figure as PNG, and return what it has in each line."""
    raster = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    # As small as with more work, which takes twice as long.
    canvas.print_png(raster, metadata={"Software": None}, pil_kwargs={"compress_level": 3})
    write_atomically(png, raster.getvalue())
    pixels: Pixels = np.asarray(canvas.buffer_rgba())
    return pixels


def _as_svg(figure: Figure, name: str) -> str:
    """Return a figure as SVG; the canvas leaves it with 72 points an inch."""
    vector = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(vector, metadata={"Date": None, "Creator": None})
    return vector.getvalue().replace(f"'{_FONT}'", f"'{_FONT}', {_OTHER_FONTS}")


def _with_cuts(svg: str, places_pt: Sequence[float]) -> str:
    """Return an SVG that says where it is to be cut on paper, if it is."""
    if not places_pt:
        return svg
    places = " ".join(f"{place:.1f}" for place in places_pt)
    return svg.replace("<svg ", f'<svg {CUTS}="{places}" ', 1)


def _shortened(svg: str) -> str:
    """Return an SVG in half its size: paths exact to a hundredth of a point, and no indentation."""

    def of_path(path: re.Match[str]) -> str:
        words = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", path[0])
        return " ".join(words.split())

    return re.sub(r"\n +", "\n", re.sub(r'(?<= d=")[^"]*', of_path, svg))


def _snap(part: Figure | SubFigure) -> None:
    """Round the places of all that a solver laid out: two runs of it differ in the last bits."""
    for text in part.texts:
        text.set_position(tuple(np.round(text.get_position(), _DIGITS)))
    for ax in part.axes:
        if ax.figure is part:
            ax.set_position(Bbox(np.round(ax.get_position().get_points(), _DIGITS)))
    for inner in part.subfigs:
        inner.bbox_relative.set_points(np.round(inner.bbox_relative.get_points(), _DIGITS))
        _snap(inner)
