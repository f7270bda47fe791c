# SPDX-License-Identifier: GPL-2.0-only
"""What was run, on what, and how to do it again."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from carveout.wording.grids import Column, Grid, grid
from carveout.wording.labels import load_label, version_label
from carveout.wording.marks import Name, Part, Words, listed, tally, words
from carveout.wording.quantities import bytes_label, ns_label
from carveout.wording.rows import dose_label


def run_facts(tables: Mapping[str, pd.DataFrame]) -> dict[str, Part]:
    """Return what was run, each fact as the tables tell it."""
    trials, runs = tables["trials"], tables["runs"]
    made = {"process": "trial"}
    boots = tally("runs", runs, where={"process": "boot"})
    return {
        "Kernel": Name(_kernels(trials)),
        "Host": words("{} RAM, {} CPUs", _sizes(trials, "ram_bytes"), _each(trials, "cpus")),
        "Page": _sizes(trials, "page_bytes"),
        "Lendable": _sizes(trials, "lendable_bytes"),
        "Requests": _sizes(trials, "request_bytes"),
        "QEMU": _each(runs, "qemu_version"),
        "Trials": words("{} trials", tally("runs", runs, where=made)),
        "Hosts": words("{} booted and saved, of which the trials are forks", boots)
        if str(boots) != "0"
        else "booted for every trial",
        "Outcomes": listed(
            _outcome(trials, outcome)
            for outcome in trials["outcome"].value_counts().index
            if outcome != "not_available"
        ),
        "Seeds": seeds(trials),
        "Seeds end early": _each(trials, "replication") or "never",
        "QEMU's wall time": words(
            "{} in all, {} a trial (median)",
            tally("runs", runs, "sum", "wall_ns", label=ns_label),
            tally("runs", runs, "median", "wall_ns", label=ns_label, where=made),
        ),
    }


def _outcome(trials: pd.DataFrame, outcome: str) -> Words:
    """Return how many lends had an outcome, and of how many of them verification failed."""
    where: dict[str, str | float] = {"outcome": outcome}
    count = tally("trials", trials, where=where)
    failed = tally("trials", trials, where=where | {"verify": "failed"})
    told = words("{} {}", count, outcome.replace("_", " "))
    if str(failed) == "0":
        return told
    return words("{} ({} of them failed their verification)", told, failed)


def seeds(trials: pd.DataFrame) -> Words:
    """Return how many seeds were run."""
    every = sorted(trials["seed"].unique())
    if not every:
        return Words(("none",))
    of = Name(f"{every[0]} to {every[-1]}")
    return words("{} ({})", tally("trials", trials, "distinct", "seed"), of)


def what_varied(trials: pd.DataFrame) -> Words:
    """Return what is not the same in trials of one cell, with a run as it was."""
    layouts = tally("trials", trials, "distinct", "layout")
    if trials["layout"].nunique() > 1:
        return words(
            "Seeds vary where a load's pages lie, and hosts have {} histories; nothing else "
            "varies.",
            layouts,
        )
    if trials["seed"].nunique() > 1:
        return Words(("Seeds vary where a load's pages lie; nothing else varies.",))
    return Words(("There is one seed of each: nothing varies.",))


def loads_grid(trials: pd.DataFrame) -> Grid:
    """Return each load with the doses that were wanted, and what they came to."""
    items = [
        (str(load), float(dose))
        for load, dose in trials[["load", "dose_target"]].drop_duplicates().itertuples(index=False)
    ]
    items.sort(key=lambda item: (item[0] != "idle", item))

    def achieved(
        group: str, title: str, how: str, column: str, label: Callable[[float], str]
    ) -> Column[tuple[str, float]]:
        return Column(
            group,
            title,
            lambda item: tally(
                "trials",
                trials,
                how,
                column,
                label=label,
                where={"load": item[0], "dose_target": item[1]},
            ),
        )

    achieved_dose = "dose_achieved"
    columns = [
        Column[tuple[str, float]]("", "dose wanted", lambda item: Name(dose_label(item[1]))),
        *(
            achieved("achieved", title, how, achieved_dose, dose_label)
            for title, how in (("median", "median"), ("least", "min"), ("most", "max"))
        ),
        achieved("", "free memory it took, median", "median", "physical_bytes", bytes_label),
    ]
    return grid("trials", "load", items, columns, title=lambda item: Name(load_label(item[0], 0)))


def _kernels(trials: pd.DataFrame) -> str:
    """Return the kernels that ran, with the pinned version where another version ran."""
    known = trials.dropna(subset=["kernel_release"])
    names = known[["kernel_release", "kernel_version", "kernel_pinned"]].drop_duplicates()
    return ", ".join(
        f"{release} ({version_label(version, pinned)})"
        for release, version, pinned in names.itertuples(index=False, name=None)
    )


def _each(frame: pd.DataFrame, column: str) -> Part:
    values = ", ".join(str(value) for value in frame[column].dropna().drop_duplicates())
    return Name(values) if values else ""


def _sizes(frame: pd.DataFrame, column: str) -> Name:
    sizes: Sequence[int] = sorted(frame[column].dropna().unique())
    return Name(", ".join(bytes_label(size) for size in sizes))
