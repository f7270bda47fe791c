# SPDX-License-Identifier: GPL-2.0-only
"""What changed from one run to another, as a mail to a kernel list: in the 0-day robot's form.

`before ± %stddev   %change   after ± %stddev   metric`, within 72 columns; what is equal, and what
cannot be told with as few seeds, is said in a line each.
"""

from typing import Any

import numpy as np
import pandas as pd

from carveout.compare.changes import sizes_asked_in_several_ways
from carveout.compare.comparison import Comparison
from carveout.compare.robot import rows_text
from carveout.compare.sides import Side
from carveout.statistics.intervals import LEAST_FOR_BOOTSTRAP
from carveout.statistics.pair import LEAST_CHANGE, LEAST_SEEDS
from carveout.wording.labels import Labels
from carveout.wording.plain import command_lines, heading, listed, wrapped
from carveout.wording.quantities import bytes_label

# What is listed at most; all of it is in the table.
_MOST_UNTOLD = 10
_MOST_CONTRADICTIONS = 10
# Facts of the tables' files that are told of each side, by what people call them.
_FACTS = {
    "qemu_version": "QEMU",
    "carveout_revision": "carveout",
    "guest_images_sha256": "guest images",
    "kernel_image_sha256": "kernel images",
    "moved_from_pins": "moved from pins",
    "packages": "packages",
}
_DIGEST = 12


def mail_text(found: Comparison, labels: Labels, command: str) -> str:
    """Return the mail.

    Args:
        found: the comparison.
        labels: the strategies' titles.
        command: the command that makes the same comparison.
    """
    parts = [
        wrapped(f"carveout: {found.verdict}"),
        _sides(found),
        _contradictions(found),
        _lost(found, labels),
        *(_changed(found, verdict, title, labels) for verdict, title in _TITLES.items()),
        _untold(found, labels),
        _rest(found, labels),
        _apart(found, labels),
        _how(command),
    ]
    return "\n".join(part for part in parts if part)


_TITLES = {
    "worse": "Worse",
    "better": "Better",
    "changed": "Changed, neither for better nor for worse",
}


def _sides(found: Comparison) -> str:
    """Return what both sides are, and how much of them was paired."""
    coverage = found.coverage
    seeds = sorted(coverage.common["seed"].unique())
    counts = {
        name: coverage.common[columns].drop_duplicates().shape[0]
        for name, columns in {
            "variant": ["strategy", "variant"],
            "load": ["load"],
            "seed": ["seed"],
        }.items()
    }
    said = ", ".join(f"{number} {name}{'s' * (number != 1)}" for name, number in counts.items())
    text = (
        f"{coverage.paired} lends of each run are held against their partner, which differs in "
        f"nothing else: same machine, variant, load, dose, request and seed. {said}"
    )
    text += f" ({seeds[0]} to {seeds[-1]})." if len(seeds) > 1 else "."
    if found.contradictions.same:
        text += (
            f" {found.contradictions.same} trials are the same ones in both runs (one trial_id): "
            "these cannot differ."
        )
    return (
        "".join(_side(side, found) for side in (found.before, found.after)) + "\n" + wrapped(text)
    )


def _side(side: Side, found: Comparison) -> str:
    place = 0 if side.name == "before" else 1
    kernels = ", ".join(
        f"{name} ({side.kernels[name]})"
        for name in dict.fromkeys(pair[place] for pair in found.partners)
    )
    said = [kernels] + [
        f"{_FACTS[name]} {side.facts[name]}"
        for name in ("qemu_version", "carveout_revision")
        if name in side.facts
    ]
    return wrapped(f"{side.folder}: {'; '.join(said)}", " " * 8, f"{side.name:<8}")


def _contradictions(found: Comparison) -> str:
    """Return the loudest part: the same trial with another result."""
    contradictions = found.contradictions
    if not contradictions.trials:
        return _excused(found)
    values = contradictions.found
    text = heading(f"CONTRADICTION: {contradictions.trials} trials have two results") + wrapped(
        f"A trial is a function of its id, to the bit; of {contradictions.same} trials that both "
        f"runs have, {contradictions.trials} differ. One of the runs is damaged, was edited, or "
        "was made or collected by a machine or a revision that computes otherwise. Nothing below "
        "can be trusted until that is known. All of it is in contradictions.csv."
    )
    for trial_id, rows in list(values.groupby("trial_id", sort=False))[:_MOST_CONTRADICTIONS]:
        first = rows.iloc[0]
        text += wrapped(
            f"{trial_id}: {first['strategy']} {first['variant']}, {first['scenario']}, dose "
            f"{first['dose_target']:g} %, seed {first['seed']}: "
            + "; ".join(
                f"{row['column']} {row['before']} -> {row['after']} (cycle {row['cycle']})"
                for row in rows.iloc[:3].to_dict("records")
            )
            + (f"; and {len(rows) - 3} more values" if len(rows) > 3 else ""),
            "    ",
            "  ",
        )
    return text + _excused(found)


def _excused(found: Comparison) -> str:
    if not found.contradictions.excused:
        return ""
    return wrapped(
        f"{found.contradictions.excused} trials of one id differ and may: their hosts have several "
        "CPUs."
    )


def _lost(found: Comparison, labels: Labels) -> str:
    """Return what can no longer be had, and what can be had now."""
    return "".join(
        heading(title)
        + "".join(
            wrapped(
                f"{labels.variant(row['strategy'], row['variant'])}, "
                f"{bytes_label(row['ram_bytes'])} RAM, {row['granule']}, under "
                f"{', '.join(row['loads'])}: {row['message']}",
                "    ",
                "  ",
            )
            for row in _over_loads(rows)
        )
        for title, rows in (
            ("Not available any more (worse)", found.coverage.lost),
            ("Available now (better)", found.coverage.gained),
        )
        if len(rows)
    )


def _over_loads(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    place = ["strategy", "variant", "ram_bytes", "granule", "message"]
    loads = rows.groupby(place, dropna=False)["load"].unique().rename("loads")
    return loads.reset_index().to_dict("records")


def _changed(found: Comparison, verdict: str, title: str, labels: Labels) -> str:
    """Return the rows of one verdict."""
    rows = found.changes[found.changes["verdict"] == verdict]
    if rows.empty:
        return ""
    return heading(f"{title}: {len(rows)}") + _rows(found, rows, labels)


def _rows(found: Comparison, rows: pd.DataFrame, labels: Labels) -> str:
    return rows_text(rows, labels, sizes_asked_in_several_ways(found.changes))


def _untold(found: Comparison, labels: Labels) -> str:
    """Return what cannot be told, and how many seeds would tell it; the least of them first."""
    rows = found.changes[found.changes["verdict"] == "cannot_tell"]
    if rows.empty:
        return ""
    needed = rows["seeds_needed"].dropna()
    text = (
        f"They differ by {LEAST_CHANGE * 100:g} % or more, in fewer than {LEAST_SEEDS} seeds or "
        "not to one side clearly enough for as many comparisons."
    )
    if len(needed):
        half = int(needed.quantile(0.5, interpolation="higher"))
        text += (
            f" If more seeds were as these are, {int(needed.min())} seeds would tell the first of "
            f"them, {half} half of them, {int(needed.max())} all"
            + (f" but {len(rows) - len(needed)}." if len(needed) < len(rows) else ".")
        )
    size = rows["relative_change"].abs().fillna(np.inf)
    shown = rows.assign(size=-size).sort_values(["seeds_needed", "size"]).iloc[:_MOST_UNTOLD]
    if len(shown) < len(rows):
        text += (
            f" Those {len(shown)} that take the fewest seeds are below, all others in changes.csv."
        )
    return heading(f"Cannot be told: {len(rows)}") + wrapped(text) + _rows(found, shown, labels)


def _rest(found: Comparison, labels: Labels) -> str:
    """Return what is equal, and what is as good as equal."""
    changes = found.changes
    lines = []
    if equal := found.count("equal"):
        lines.append(f"equal to the bit in every pair: {equal} of {len(changes)} comparisons")
    if small := found.count("small"):
        most = changes.loc[changes["verdict"] == "small", "relative_change"].abs().max()
        lines.append(
            f"changed by less than {LEAST_CHANGE * 100:g} %: {small} (at most {most * 100:.2g} %)"
        )
    if without := found.count("no_pairs"):
        lines.append(f"without a pair in which both runs lent all: {without}")
    same = changes.groupby(["strategy", "variant"])["verdict"].agg(
        lambda verdicts: set(verdicts) <= {"equal", "no_pairs"}
    )
    variants = labels.variants(changes)
    alike = [labels.variant(*pair) for pair in variants if same[pair]]
    if len(alike) == len(variants):
        lines.append("so no variant differs in anything")
    elif alike:
        lines.append(
            f"{len(alike)} of {len(variants)} variants differ in nothing: {'; '.join(alike)}"
        )
    return heading("The rest") + listed(lines)


def _apart(found: Comparison, labels: Labels) -> str:
    """Return how the runs differ in themselves."""
    coverage = found.coverage
    lines = []
    for name, word in _FACTS.items():
        facts = [_fact(name, side) for side in (found.before, found.after)]
        if facts[0] != facts[1] and None not in facts:
            here = [
                ", ".join(fact for fact in facts[i] or () if fact not in (facts[1 - i] or ()))
                or "none"
                for i in (0, 1)
            ]
            lines.append(f"{word}: {here[0]} before, {here[1]} after")
    unknown = [
        side for side in (found.before, found.after) if "carveout_revision" not in side.facts
    ]
    lines += [
        f"{side.name} has no runs.parquet, which says with which packages and revision it was made"
        for side in unknown
    ]
    lines += [
        f"{name}: {old} before, {new} after; such lends are not paired"
        for name, old, new in coverage.set_up_otherwise
    ]
    for name, sides in coverage.alone.items():
        lines += [
            f"{name} only {when}: {', '.join(_value(name, value, labels) for value in values)}"
            for when, values in zip(("before", "after"), sides, strict=True)
            if values
        ]
    kernels = [
        (side, [name for name in side.kernels if name not in {p[place] for p in found.partners}])
        for place, side in enumerate((found.before, found.after))
    ]
    lines += [f"kernels only {side.name}: {', '.join(names)}" for side, names in kernels if names]
    if any(coverage.unpaired):
        lines.append(
            f"lends without a partner: {coverage.unpaired[0]} before, {coverage.unpaired[1]} after"
        )
    return heading("How the runs differ in themselves") + listed(lines) if lines else ""


def _fact(name: str, side: Side) -> list[str] | None:
    """Return the parts of a fact of a side; None where nobody knows it."""
    if name not in side.facts:
        return None
    parts = side.facts[name].split(", ")
    return [part[:_DIGEST] for part in parts] if name.endswith("sha256") else parts


def _value(name: str, value: Any, labels: Labels) -> str:
    if name == "variant":
        return labels.variant(*value)
    if name == "dose_target":
        return f"{value[0].replace('_', ' ')} {value[1]:g} %"
    return bytes_label(value) if name == "ram_bytes" else str(value)


def _how(command: str) -> str:
    """Return what the numbers mean, and how to have them again."""
    notes = [
        "Seeds vary where the pages of a load lie, and with layouts the host. Trials of one seed "
        "are not independent: p and intervals count seeds. All trials of a cell are forks of one "
        "boot, or of one for each layout, so what changed may be where that boot's pages lie; a "
        "third build, whose patch adds as much and does nothing, tells.",
        f"p: Wilcoxon's signed-rank test, of successes the sign test (with one dose McNemar's), "
        f"corrected over all comparisons (Benjamini-Hochberg), from {LEAST_SEEDS} differing seeds "
        f"on. 95%: bootstrap of the seeds, from {LEAST_FOR_BOOTSTRAP} on. What does not vary "
        "with the seed needs neither.",
        "Worse is: success, granted_bytes or regained_bytes down, lend_ns_per_gib, "
        "give_back_ns_per_gib or memmap_bytes_per_gib up.",
        "Guest nanoseconds count instructions: no caches, no contention.",
    ]
    return (
        heading("How to read it, and how to have it again")
        + listed(notes)
        + "\n"
        + command_lines(command)
    )
