# SPDX-License-Identifier: GPL-2.0-only
"""What a run took, how far it followed its curves, and what a million of its trials would take."""

import json
from pathlib import Path

import pandas as pd

from carveout.study.doses import possible_doses
from carveout.tables.parquet import read_table
from carveout.tables.schema import CURVE

MILLION = 1_000_000
_KEPT = ("trials", "runs", "journals", "logs", "tables")
_CORES = 100


def effort(results: Path) -> str:
    """Return some lines on a run: its boots and trials, QEMU's time for them, and its ladders.

    Args:
        results: the folder of the run.
    """
    tables = results / "tables"
    runs = read_table("runs", tables / "runs.parquet")
    summary = read_table("summary", tables / "summary.parquet")
    curves = read_table("curves", tables / "curves.parquet")
    processor_ns = (runs["qemu_user_ns"] + runs["qemu_system_ns"]).sum()
    boots, trials = ((runs["process"] == name).sum() for name in ("boot", "trial"))
    turning = curves[curves["turning_point"].notna()]
    walked = summary[summary["ladder"].notna() & (summary["cycle"] == 1) & (summary["trials"] > 0)]
    of_every_dose = sum(_trials_of_every_dose(curve) for _, curve in walked.groupby(list(CURVE)))
    return "\n".join(
        [
            f"Boots {boots}, trials {trials}; QEMU's processor time {processor_ns / 3.6e12:.1f} h",
            f"Curves {len(curves)}, of which {len(turning)} turn,"
            f" {_at_finest(turning)} of them between two doses of the finest step",
            f"Trials, of those of all doses at the finest step:"
            f" {walked['trials'].sum() / of_every_dose:.0%}",
            *_of_a_trial(results, runs),
            "",
        ]
    )


def _of_a_trial(results: Path, runs: pd.DataFrame) -> list[str]:
    """Return what one trial of a run takes, boots and all, and what a million would."""
    trials = (runs["process"] == "trial").sum()
    wall_s = runs["wall_ns"].sum() / 1e9 / trials
    processor_s = (runs["qemu_user_ns"] + runs["qemu_system_ns"]).sum() / 1e9 / trials
    bytes_each = {kind: _bytes_of(results, kind) / trials for kind in _KEPT}
    kept = ", ".join(f"{kind} {each / 1e3:.1f} kB" for kind, each in bytes_each.items())
    core_h = MILLION * wall_s / 3600
    return [
        f"A trial with its share of boots: {wall_s:.1f} s of one core's wall time,"
        f" {processor_s:.1f} s of QEMU's processor time",
        f"On disk for each: {kept}",
        f"A million such: {core_h:,.0f} h of a core, {core_h / _CORES:,.0f} h on {_CORES} cores,"
        f" {MILLION * sum(bytes_each.values()) / 1e9:,.0f} GB",
    ]


def _bytes_of(results: Path, kind: str) -> int:
    return sum(path.stat().st_size for path in (results / kind).rglob("*") if path.is_file())


def _finest_percent(ladder: str) -> float:
    return float(json.loads(ladder)["finest_permille"]) / 10


def _at_finest(curves: pd.DataFrame) -> int:
    """Return of how many curves less is lent one finest step after half was."""
    steps = curves["less_from_dose"] - curves["half_until_dose"]
    return int((steps <= curves["ladder"].map(_finest_percent)).sum())


def _trials_of_every_dose(curve: pd.DataFrame) -> int:
    """Return how many trials a curve would have, had all its doses as many as its first."""
    ladder = json.loads(curve["ladder"].iloc[0])
    permille = sorted(round(dose * 10) for dose in curve["dose_target"])
    return len(possible_doses(permille, ladder)) * int(curve["trials"].iloc[0])
