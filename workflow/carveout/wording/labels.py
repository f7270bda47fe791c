# SPDX-License-Identifier: GPL-2.0-only
"""How strategies, loads and machines are called, in tables and figures alike."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd

from carveout.common import schemas
from carveout.study.geometry import granule_label
from carveout.tables.schema import COMPARABLE
from carveout.wording.quantities import NOTHING, bytes_label, percent_label

VARIANT = ["strategy", "variant"]
# The columns of `summary` by which it is said what cannot be had.
UNAVAILABLE = (*COMPARABLE, *VARIANT, "load", "trials", "not_available", "why_not_available")


@dataclass(frozen=True)
class Description:
    """What a strategy's own folder says about it."""

    name: str
    title: str
    description: str
    variants: Mapping[str, str]
    expects: Sequence[str] = ()
    # Of some variants, what is to be known of them wherever they are shown.
    caveats: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Labels:
    """The strategies' titles, and the order in which the config names them.

    A table may hold strategies that this checkout does not know: they come last, by name.
    """

    descriptions: Mapping[str, Description] = field(default_factory=dict)

    @classmethod
    def read(cls, files: Iterable[Path]) -> "Labels":
        """Return the labels that `strategy.yaml` files give, in the order of the files."""
        read = [_description(path.parent.name, schemas.load_yaml(path)) for path in files]
        return cls({description.name: description for description in read})

    def strategy(self, name: str) -> str:
        """Return a strategy's title."""
        return self.descriptions[name].title if name in self.descriptions else name

    def variant(self, strategy: str, variant: str) -> str:
        """Return a variant's title, with its caveat."""
        caveat = self.caveat(strategy, variant)
        return self.short(strategy, variant) + (f" ({caveat})" if caveat else "")

    def short(self, strategy: str, variant: str) -> str:
        """Return a variant's title alone: who shows it has the caveat elsewhere."""
        if strategy in self.descriptions:
            return self.descriptions[strategy].variants.get(variant, f"{strategy} {variant}")
        return f"{strategy} {variant}"

    def caveat(self, strategy: str, variant: str) -> str | None:
        """Return what is to be known of a variant wherever it is shown, if there is anything."""
        described = self.descriptions.get(strategy)
        return described.caveats.get(variant) if described else None

    def strategies(self, frame: pd.DataFrame) -> list[str]:
        """Return the strategies of a table, in order."""
        return sorted(frame["strategy"].drop_duplicates(), key=self._place)

    def variants(self, frame: pd.DataFrame) -> list[tuple[str, str]]:
        """Return the (strategy, variant) pairs of a table, in order."""
        found = frame[VARIANT].drop_duplicates().itertuples(index=False, name=None)
        return sorted(found, key=lambda pair: (self._place(pair[0]), self._place_within(*pair)))

    def _place(self, strategy: str) -> tuple[int, str]:
        return _index(list(self.descriptions), strategy)

    def _place_within(self, strategy: str, variant: str) -> tuple[int, str]:
        described = self.descriptions.get(strategy)
        return _index(list(described.variants) if described else [], variant)


def _index(known: Sequence[str], name: str) -> tuple[int, str]:
    """Return the key that sorts a name: known names first, in their order, then others by name."""
    return (known.index(name) if name in known else len(known), name)


def load_label(name: str, dose_percent: float) -> str:
    """Return a load with its dose: ``anonymous memory 50 %``."""
    words = name.replace("_", " ")
    return f"{words} {dose_percent:g} %" if dose_percent else words


def success_range_label(row: Mapping[str, Any]) -> str:
    """Return how often a variant succeeds at least and at most, over loads and doses."""
    least, most = row["success_least_rate"], row["success_most_rate"]
    if pd.isna(least) or least == most:
        return percent_label(least)
    return f"{round(least * 100)} to {percent_label(most)}"


def least_success_label(row: Mapping[str, Any]) -> str:
    """Return under which load a variant succeeds least; nothing where it is even."""
    if pd.isna(row["success_least_rate"]) or row["success_least_rate"] == row["success_most_rate"]:
        return NOTHING
    return load_label(row["success_least_load"], row["success_least_dose"])


def comparable_label(kernel: str, version: str, pinned: str, ram_bytes: int, granule: str) -> str:
    """Return a machine and granule, with the pinned version of its kernel where another ran."""
    machine = f"{kernel} ({version_label(version, pinned)}), {bytes_label(ram_bytes)} RAM"
    return f"{machine}, {granule_label(granule)}"


def version_label(version: str, pinned: str) -> str:
    """Return the version that ran, and the pinned one if it is another."""
    return version if version == pinned else f"{version} in place of the pinned {pinned}"


def comparable_parts(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each machine and granule with their label: what is to be compared.

    Variants that cannot give the granule, or that the kernel cannot run, are left out.
    """
    return _parts(frame[~is_unavailable(frame)])


def unavailable_labels(summary: pd.DataFrame, labels: Labels) -> dict[str, str]:
    """Return what cannot be had and why, by the label of what is compared: variants, and loads.

    Args:
        summary: the table `summary`, at least its `UNAVAILABLE`.
        labels: the strategies' descriptions.
    """
    found = {}
    for label, rows in _parts(summary):
        away = rows[is_unavailable(rows)]
        if not away.empty:
            run = labels.variants(rows[~is_unavailable(rows)])
            variants = [pair for pair in labels.variants(away) if pair not in run]
            under_loads = away[[pair in run for pair in _pairs(away)]]
            found[label] = ", ".join(
                [*_by_reason(away, variants, labels), *_under_loads(under_loads, run, labels)]
            )
    return found


def _by_reason(
    away: pd.DataFrame, variants: Sequence[tuple[str, str]], labels: Labels
) -> list[str]:
    """Return which variants cannot be had at all, those with the same reason together."""
    found: dict[str, list[str]] = {}
    for pair in variants:
        found.setdefault(_reason(away, *pair), []).append(labels.variant(*pair))
    # What has no reason shares none.
    alone = found.pop("", [])
    return [*(" and ".join(names) + reason for reason, names in found.items()), *alone]


def _under_loads(away: pd.DataFrame, run: Sequence[tuple[str, str]], labels: Labels) -> list[str]:
    """Return which variants cannot be had under which loads alone, and why."""
    texts = []
    for (load, _), rows in away.groupby(["load", "why_not_available"], dropna=False):
        pairs = labels.variants(rows)
        names = [labels.variant(*pair) for pair in pairs]
        who = "every variant" if len(pairs) == len(run) else " and ".join(names)
        texts.append(f"{who} under {load_label(str(load), 0)}{_reason(rows, *pairs[0])}")
    return texts


def _reason(rows: pd.DataFrame, strategy: str, variant: str) -> str:
    """Return why a variant is not available, in brackets, where it is known."""
    of_variant = (rows["strategy"] == strategy) & (rows["variant"] == variant)
    reasons = rows[of_variant]["why_not_available"].dropna()
    return f" ({reasons.iloc[0]})" if len(reasons) else ""


def _pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(frame[VARIANT].itertuples(index=False, name=None))


def is_unavailable(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Return which rows are of trials, or of groups of trials, that nothing was run for."""
    if "outcome" in frame:
        return frame["outcome"] == "not_available"
    if "not_available" in frame:
        return frame["trials"] == 0
    return pd.Series(data=False, index=frame.index)


def _parts(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [
        (comparable_label(*cast("tuple[str, str, str, int, str]", common)), rows)
        for common, rows in frame.groupby(list(COMPARABLE))
    ]


def loads_of(frame: pd.DataFrame) -> list[tuple[str, float]]:
    """Return the (load, dose) pairs of a table: idle first, the rest by name."""
    pairs = frame[["load", "dose_target"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(pairs, key=lambda pair: (pair[0] != "idle", pair))


def _description(name: str, content: Mapping[str, Any]) -> Description:
    return Description(
        name=name,
        title=content["title"],
        description=content["description"],
        variants={key: value["title"] for key, value in content["variants"].items()},
        expects=[" ".join(statement["says"].split()) for statement in content.get("expects", [])],
        caveats={
            key: value["caveat"] for key, value in content["variants"].items() if "caveat" in value
        },
    )
