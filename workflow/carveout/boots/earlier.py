# SPDX-License-Identifier: GPL-2.0-only
"""What an earlier job has made of a cell, found in its outputs, as far as it still holds.

A trial is a pure function of what its id digests and of the code that made it: whatever is the
reason to run a cell again, one with the same id and code would come out the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from carveout.boots.cell_run import CellRun, boot_id
from carveout.boots.cell_trials import Result


class EarlierOutputs:
    """The trials and guests in a cell's outputs that still hold for a run."""

    def __init__(self, trials: Path, runs: Path) -> None:
        self._trials = list(_objects(trials))
        self._runs = {run["trial_id"]: run for run in _objects(runs)}

    def results(self, run: CellRun, trial_ids: Mapping[int, str]) -> list[Result]:
        """Return the results that need not be made again, each with the cell as it is now."""
        cell = json.loads(run.cell.to_json())
        return [
            {"trial": {**trial, "cell": cell}, "run": self._runs[trial["trial_id"]]}
            for trial in self._trials
            if trial_ids.get(trial["seed"]) == trial["trial_id"]
            and self._is_made_by(run, trial["trial_id"])
            # The wall limit says how slow the machine was that day, and nothing of the trial.
            and trial["ending"]["cause"] != "wall_limit"
        ]

    def boots(self, run: CellRun) -> list[Result]:
        """Return the boot whose forks the results are, if there was one."""
        made = boot_id(run)
        return [{"run": self._runs[made]}] if self._is_made_by(run, made) else []

    def _is_made_by(self, run: CellRun, trial_id: str) -> bool:
        found: Mapping[str, Any] = self._runs.get(trial_id, {})
        return found.get("made_by") == run.made_by


def merged(*made: Sequence[Result]) -> list[Result]:
    """Return results of several sources, each seed once."""
    return list({r["trial"]["seed"]: r for results in made for r in results}.values())


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects in a file, which is either written whole or missing."""
    if path.exists():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())
