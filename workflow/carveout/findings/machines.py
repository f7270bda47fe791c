# SPDX-License-Identifier: GPL-2.0-only
"""What was found on each machine in each granule, by variant: rows put where they belong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from carveout.tables.rules import misses_dose
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import (
    VARIANT,
    Labels,
    comparable_label,
    is_unavailable,
    unavailable_labels,
)
from carveout.wording.marks import Name
from carveout.wording.rows import Row, rows_of

# The tables that are split by machine and granule.
_BY_MACHINE = ("variants", "summary", "curves", "failures", "blockers", "comparisons", "needs")
# One question of one host: cells that differ in load and dose alone.
_REQUEST = ("requests", "cycle", "request_bytes")


@dataclass(frozen=True)
class Variant:
    """A strategy's variant on one machine in one granule, and its rows of each table.

    Attributes:
        strategy: its strategy's name.
        name: its own.
        title: how people call it.
        requests: of `variants`, one a size, the smallest first.
        curves: of `curves`, the last ones of the largest request, by load.
        cells: of `summary`, those of the curves whose load came to its dose or was refused, by load
            and dose.
        rows: of the other tables.
    """

    strategy: str
    name: str
    title: Name
    requests: Sequence[Row]
    curves: Sequence[Row]
    cells: Sequence[Row]
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def idle(self) -> Row:
        """What it costs while nothing is lent, which is the same for all requests."""
        return self.requests[0]

    @property
    def lent(self) -> Row:
        """The largest request of which anything was granted, or the smallest."""
        return self._largest("memmap_per_lent_gib_bytes")

    @property
    def cleared(self) -> Row:
        """The largest request that was granted whole and cleared, or the smallest."""
        return self._largest("zero_ns_p50")

    def of_size(self, request_bytes: int) -> Row | None:
        """Return the row of a size."""
        return next((row for row in self.requests if row["request_bytes"] == request_bytes), None)

    def curve(self, load: str) -> Row | None:
        """Return the curve of a load."""
        return next((row for row in self.curves if row["load"] == load), None)

    def cells_of(self, load: str) -> list[Row]:
        """Return the cells of a load's curve, the lowest dose first."""
        return [row for row in self.cells if row["load"] == load]

    def _largest(self, column: str) -> Row:
        return next((row for row in reversed(self.requests) if row.knows(column)), self.idle)


@dataclass(frozen=True)
class Machine:
    """One machine in one granule.

    Attributes:
        label: kernel, RAM and granule, for people.
        place: what makes an anchor of it, unlike any other machine's.
        variants: those that were run, in the order of the config.
        unavailable: what cannot be had there and why, empty where all can.
        caveats: what is to be known of some variants, wherever they are shown.
        tables: the rows of it.
    """

    label: str
    place: str
    variants: Sequence[Variant]
    unavailable: str
    caveats: Sequence[str]
    tables: Mapping[str, pd.DataFrame]

    @property
    def loads(self) -> list[str]:
        """The loads that were run, idle first."""
        names = {row["load"] for variant in self.variants for row in variant.curves}
        return sorted(names, key=lambda name: (name != "idle", name))

    @property
    def sizes(self) -> list[int]:
        """The sizes that were asked for, the smallest first."""
        return sorted({row["request_bytes"] for own in self.variants for row in own.requests})

    @property
    def granule(self) -> str:
        """What the label says of the granule."""
        return self.label.rpartition(", ")[2]


def machines_of(tables: Mapping[str, pd.DataFrame], labels: Labels) -> list[Machine]:
    """Return every machine and granule of which anything is known, in the order of the tables."""
    parts: dict[str, dict[Any, pd.DataFrame]] = {
        name: dict(iter(tables[name].groupby(list(COMPARABLE)))) for name in _BY_MACHINE
    }
    missing = unavailable_labels(tables["summary"], labels)
    found = []
    for place, common in enumerate(sorted(parts["summary"])):
        own = {name: _available(parts[name].get(common, tables[name][:0])) for name in _BY_MACHINE}
        label = comparable_label(*common)
        variants = _variants(own, labels)
        away = missing.get(label, "")
        found.append(Machine(label, f"m{place}", variants, away, _caveats(variants, labels), own))
    return found


def _caveats(variants: Sequence[Variant], labels: Labels) -> list[str]:
    told = [(variant.title, labels.caveat(variant.strategy, variant.name)) for variant in variants]
    return [f"{title}: {caveat}" for title, caveat in told if caveat]


def _available(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~is_unavailable(frame)]


def _variants(tables: Mapping[str, pd.DataFrame], labels: Labels) -> list[Variant]:
    curves = tables["curves"]
    largest = curves[curves["request_bytes"] == curves["request_bytes"].max()]
    shown = largest.drop_duplicates([*VARIANT, "load"], keep="last")
    own = shown[[*VARIANT, "load", *_REQUEST]].drop_duplicates()
    cells = tables["summary"].reset_index().merge(own, how="inner").set_index("index")
    # What was lent beside less load than was asked for says nothing of that dose.
    cells = cells[~misses_dose(cells, cells["load_refused"] > 0)]
    by_variant = {
        name: _by_variant(name, frame)
        for name, frame in {**tables, "curves": shown, "summary": cells}.items()
        if name != "comparisons"
    }
    return [
        Variant(
            *pair,
            Name(labels.short(*pair)),
            by_variant["variants"][pair],
            by_variant["curves"].get(pair, []),
            by_variant["summary"].get(pair, []),
            {name: by_variant[name].get(pair, []) for name in ("failures", "blockers", "needs")},
        )
        for pair in labels.variants(tables["variants"])
    ]


def _by_variant(table: str, frame: pd.DataFrame) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows_of(table, frame):
        found.setdefault((row["strategy"], row["variant"]), []).append(row)
    return found
