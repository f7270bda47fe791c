# SPDX-License-Identifier: GPL-2.0-only
"""Where a figure that is taller than a sheet of paper is to be cut: where nothing is drawn."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

# How high a sheet is for its width: what A4 has between margins, below a heading.
_PROPORTION = 1.55
# A sheet is filled at least so far; rather than that a machine goes on for a few lines on another,
# it is shrunk, but not by more than this.
_LEAST_FILLED = 0.4
_MOST_SHRUNK = 1.3
# Between an axis and its numbers, or a name and its panel, is less than this, for the width.
_LEAST_GAP = 1 / 80
_WHITE = 255
Run = tuple[int, int]
# Lines from the top, columns, channels.
Pixels = npt.NDArray[np.uint8]


def cuts(figure: Figure, pixels: Pixels) -> list[int]:
    """Return the lines of a drawn figure above which it is to be cut, from the top.

    A cut is above a machine and granule where one begins, else where the most lines between panels
    are empty. A panel is never cut: one that is taller than a sheet is shrunk to one.

    Args:
        figure: laid out in heads, bodies and feet, as `layout.compose` does.
        pixels: of the figure.
    """
    height, width = pixels.shape[:2]
    most = int(width * _PROPORTION)
    tops, bodies = _bands(figure, height)
    gaps = [
        run
        for run in _empty_lines(pixels)
        if run[1] - run[0] >= width * _LEAST_GAP
        and any(start < run[0] and run[1] < stop for start, stop in bodies)
    ]
    found = [0]
    while height - found[-1] > most:
        cut = _next_cut(found[-1], most, [*tops, height], gaps)
        if cut >= height:
            break
        found.append(cut)
    return found[1:]


def _next_cut(top: int, most: int, ends: Sequence[int], gaps: Sequence[Run]) -> int:
    """Return where a sheet ends that begins at a line.

    Args:
        top: that line.
        most: how many lines fit without being shrunk.
        ends: of parts; the last is that of the figure.
        gaps: lines between panels on which nothing is drawn.
    """
    least, shrunk = top + int(most * _LEAST_FILLED), top + int(most * _MOST_SHRUNK)
    most += top
    middles = {(start + stop) // 2: stop - start for start, stop in gaps}
    if fitting := [place for place in ends if least <= place <= most]:
        return fitting[-1]
    if fitting := [place for place in ends if most < place <= shrunk]:
        return fitting[0]
    if fitting := [place for place in middles if least <= place <= most]:
        return max(fitting, key=lambda place: (middles[place], place))
    return min(place for place in (*ends, *middles) if place > most)


def _bands(figure: Figure, height: int) -> tuple[list[int], list[Run]]:
    """Return the lines at which parts begin, and those from which to which bodies go."""

    def lines(box: object) -> Run:
        bottom, top = (float(getattr(box, name)) for name in ("y0", "y1"))
        return height - round(top), height - round(bottom)

    heads, bodies = ([lines(part.bbox) for part in figure.subfigs[n::3]] for n in (0, 1))
    return [start for start, _ in heads if start > 0], bodies


def _empty_lines(pixels: Pixels) -> list[Run]:
    """Return the runs of lines on which nothing is drawn: first and last, this not included."""
    empty = (pixels[..., :3] == _WHITE).all(axis=(1, 2))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], empty, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in list(pairwise(edges))[::2]]
