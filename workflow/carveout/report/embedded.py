# SPDX-License-Identifier: GPL-2.0-only
"""Long tables that the page holds as data: cells, comparisons and trials, each row behind a figure.

A column is a list; texts are places in a list of the different ones. The page's script writes them
out, a page of rows at a time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from carveout.study.geometry import granule_label
from carveout.wording.labels import Labels, load_label, version_label
from carveout.wording.quantities import bytes_label

# More rows than these would make the page too large for a phone; the tables' files hold all.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Shown:
    """A column as it is shown.

    Attributes:
        column: its name in the table.
        title: its heading.
        kind: how it is written: text, word (with blanks for underscores), bytes, ns, share,
            percent, count, p, or as the column `quantity` of its row says.
    """

    column: str
    title: str
    kind: str = "text"


@dataclass(frozen=True)
class Embedded:
    """A long table of the page.

    Attributes:
        name: the table's.
        data: what the script reads.
        left_out: how many rows the page does not hold.
    """

    name: str
    data: Markup
    left_out: int


_PLACE = (
    Shown("machine", "machine"),
    Shown("granule", "granule"),
    Shown("title", "strategy"),
    Shown("load", "load"),
)
SHOWN: Mapping[str, Sequence[Shown]] = {
    "summary": (
        *_PLACE,
        Shown("dose_target", "dose", "percent"),
        Shown("request_bytes", "asked", "bytes"),
        Shown("cycle", "cycle", "count"),
        Shown("successes", "whole", "count"),
        Shown("trials", "trials", "count"),
        Shown("success_low", "rate, low", "share"),
        Shown("success_high", "rate, high", "share"),
        Shown("deterministic", "deterministic"),
        Shown("granted_mean_bytes", "granted, mean", "bytes"),
        Shown("granted_low_bytes", "low", "bytes"),
        Shown("granted_high_bytes", "high", "bytes"),
        Shown("lend_ns_p50", "lend, median", "ns"),
        Shown("lend_ns_p50_low", "low", "ns"),
        Shown("lend_ns_p50_high", "high", "ns"),
        Shown("lend_ns_p99", "99th percentile", "ns"),
        Shown("pages_migrated_p50", "migrated", "count"),
    ),
    "comparisons": (
        *_PLACE,
        Shown("against", "against"),
        Shown("request_bytes", "asked", "bytes"),
        Shown("quantity", "quantity", "word"),
        Shown("value", "value", "by_quantity"),
        Shown("against_value", "against", "by_quantity"),
        Shown("difference", "difference", "by_quantity"),
        Shown("difference_low", "low", "by_quantity"),
        Shown("difference_high", "high", "by_quantity"),
        Shown("pairs", "pairs", "count"),
        Shown("pairs_up", "up", "count"),
        Shown("pairs_down", "down", "count"),
        Shown("method", "method", "word"),
        Shown("p_corrected", "p, corrected", "p"),
        Shown("verdict", "verdict", "word"),
        Shown("trials_needed", "seeds needed", "count"),
    ),
    "trials": (
        *_PLACE,
        Shown("dose_target", "dose", "percent"),
        Shown("seed", "seed", "count"),
        Shown("cycle", "cycle", "count"),
        Shown("request_bytes", "asked", "bytes"),
        Shown("outcome", "outcome", "word"),
        Shown("granted_bytes", "granted", "bytes"),
        Shown("lend_ns", "lend", "ns"),
        Shown("give_back_ns", "give back", "ns"),
        Shown("pages_migrated", "migrated", "count"),
        Shown("in_the_way", "in the way"),
        Shown("verify", "verified", "word"),
        Shown("trial_id", "trial"),
    ),
}
# How the values of the column `quantity` are written.
_UNITS = {"granted_bytes": "bytes", "success": "share"}
_UNIT_OF_TIMES = "ns"


def embedded(name: str, frame: pd.DataFrame, labels: Labels) -> Embedded:
    """Return a table for the page; of too many rows those that were not granted whole first."""
    kept = _kept(name, frame)
    shown = _with_words(kept, labels)
    columns = [
        {
            "column": own.column,
            "title": own.title,
            "kind": own.kind,
            **_values(shown[own.column], own.kind),
        }
        for own in SHOWN[name]
        if not _says_nothing(own, shown)
    ]
    keys = {key: _texts(kept[key]) for key in ("strategy", "variant", "load")}
    content: dict[str, Any] = {
        "table": name,
        "rows": [int(place) + 1 for place in kept.index],
        "columns": columns,
        "keys": keys,
        "units": _UNITS | {"": _UNIT_OF_TIMES},
    }
    return Embedded(name, _script(content), len(frame) - len(kept))


def _kept(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    if name == "trials":
        frame = frame[frame["outcome"] != "not_available"]
    elif name == "summary":
        frame = frame[frame["trials"] > 0]
    if len(frame) <= MOST_ROWS or name != "trials":
        return frame[:MOST_ROWS]
    short = frame[frame["outcome"] != "granted"]
    rest = frame[frame["outcome"] == "granted"]
    return pd.concat([short, rest])[:MOST_ROWS].sort_index()


def _says_nothing(own: Shown, shown: pd.DataFrame) -> bool:
    """Return whether a column is empty, or of a place of which there is one."""
    if own.column in ("machine", "granule"):
        return shown[own.column].nunique() < 2
    return not shown[own.column].notna().any()


def _with_words(frame: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    machine = {
        place: f"{place[0]} ({version_label(place[1], place[2])}), {bytes_label(place[3])} RAM"
        for place in _places(frame, "kernel", "kernel_version", "kernel_pinned", "ram_bytes")
    }
    titles = {pair: labels.short(*pair) for pair in _places(frame, "strategy", "variant")}
    keys = ("kernel", "kernel_version", "kernel_pinned", "ram_bytes")
    found = frame.assign(
        machine=[machine[key] for key in _rows(frame, *keys)],
        granule=frame["granule"].map(granule_label),
        title=[titles[pair] for pair in _rows(frame, "strategy", "variant")],
        load=frame["load"].map(lambda load: load_label(load, 0)),
    )
    if "against_strategy" in frame:
        pairs = _rows(frame, "against_strategy", "against_variant")
        found = found.assign(against=[labels.short(*pair) for pair in pairs])
    if "blocker" in frame:
        found["in_the_way"] = pd.Series([_blocker(text) for text in frame["blocker"]], found.index)
    return found


def _blocker(text: Any) -> str | None:
    return None if pd.isna(text) else str(json.loads(text).get("type"))


def _places(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(_rows(frame, *columns)))


def _rows(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(frame[list(columns)].itertuples(index=False, name=None))


def _values(values: "pd.Series[Any]", kind: str) -> dict[str, Any]:
    if kind in ("text", "word"):
        return _texts(values)
    return {"values": [_plain(value) for value in values]}


def _texts(values: "pd.Series[Any]") -> dict[str, Any]:
    """Return texts as places in a list of the different ones; -1 where there is none."""
    codes, texts = pd.factorize(values)
    return {"texts": [str(text) for text in texts], "values": [int(code) for code in codes]}


def _plain(value: Any) -> float | int | None:
    if pd.isna(value):
        return None
    number = float(value)
    return int(number) if number == round(number) else number


def _script(content: Any) -> Markup:
    """Return JSON that no text of its own can end, for a script element."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
