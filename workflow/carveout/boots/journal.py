# SPDX-License-Identifier: GPL-2.0-only
"""What a job has made of its cell so far, on disk: a job that is cut short goes on from there.

The file's first line says what the results are of: the cell, and the digest of the code that
made them. Each further line is one trial's result, appended whole by one write.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from carveout.boots.cell_trials import Result


class Journal:
    """The trials of one cell that are made, whatever became of the job that made them."""

    def __init__(self, path: Path, cell: str, made_by: str) -> None:
        """Name a cell's journal; its file is not touched yet.

        Args:
            path: the file; it need not exist.
            cell: the cell as one line of JSON.
            made_by: the digest of what decides about a result and is not part of its id.
        """
        self._path = path
        self._head = {"cell": cell, "made_by": made_by}

    def read(self, trial_ids: Mapping[int, str]) -> list[Result]:
        """Return the results that are made, but none of other code, cells or trials.

        Args:
            trial_ids: the id of each seed's trial.
        """
        head, *results = self._whole_lines() or [{}]
        if head != self._head:
            return []
        return [
            result
            for result in results
            if trial_ids.get(result["trial"]["seed"]) == result["trial"]["trial_id"]
        ]

    def start(self, results: Iterable[Result]) -> None:
        """Begin the file anew with what is kept of an earlier one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        for entry in (self._head, *results):
            self.add(entry)

    def add(self, result: Result) -> None:
        """Append one result."""
        line = json.dumps(result, separators=(",", ":")) + "\n"
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def remove(self) -> None:
        """Remove the journal, once the job's outputs hold all of it."""
        self._path.unlink(missing_ok=True)

    def _whole_lines(self) -> list[Result]:
        """Return the objects of all lines but a last one that was cut short."""
        if not self._path.exists():
            return []
        *lines, _ = self._path.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines]
