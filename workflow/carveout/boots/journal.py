# SPDX-License-Identifier: GPL-2.0-only
"""What was made of a cell so far, on disk: a job goes on from there, whatever became of others.

A trial is a pure function of what its id digests and of the code that made it. So whatever is the
reason to run a cell again, a trial with the same id and code would come out the same, and is taken
over. A job at work appends each result to a file, whole, by one write; a job that has ended
packs all of its results into another, which is renamed into place.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from carveout.boots.cell_trials import Result, point_of
from carveout.common.files import sha256_of, sha256_of_json, write_atomically
from carveout.study.cell import Point


def made_by(code: str, record_schema: Path, engine: str) -> str:
    """Return the digest of what decides about a result beside what its id digests.

    Args:
        code: the digest of `carveout.boots.cell_run`.
        record_schema: the schema by which records were checked.
        engine: one of `carveout.guests.engines.ENGINES`.
    """
    return sha256_of_json([code, sha256_of(record_schema), engine])


def write_packed(path: Path, results: Iterable[Result]) -> None:
    """Write what was made of a cell, packed, where a journal finds it.

    Args:
        path: of the cell's journal.
        results: what was made.
    """
    lines = "".join(map(_line, results))
    write_atomically(_packed(path), gzip.compress(lines.encode(), compresslevel=1, mtime=0))


def read_packed(path: Path) -> list[Result]:
    """Return all that was packed of a cell, by its journal's path; nothing where nothing was.

    Raises:
        OSError, EOFError, zlib.error, ValueError: the file is damaged.
    """
    packed = _packed(path)
    if not packed.exists():
        return []
    return [json.loads(line) for line in gzip.decompress(packed.read_bytes()).splitlines()]


class Journal:
    """The results of one cell that hold: its trials, and the boot of which they are forks."""

    def __init__(self, path: Path, made_by: str) -> None:
        """Name a cell's journal.

        Args:
            path: the file of a job at work; it need not exist. The packed one lies beside it.
            made_by: the digest of what decides about a result beside what its id digests.
        """
        self._path = path
        self._packed = _packed(path)
        self._made_by = made_by

    def trials(self, trial_ids: Mapping[Point, str]) -> list[Result]:
        """Return the trials that need not be made again.

        Args:
            trial_ids: the id of each point's trial.
        """
        found = {
            point_of(result["trial"]): result
            for result in self._results()
            if "trial" in result
            and trial_ids.get(point_of(result["trial"])) == result["trial"]["trial_id"]
            # It says what the machine was like that day.
            and result["trial"]["ending"]["cause"] != "wall_limit"
        }
        return list(found.values())

    def boots(self, boot_id: str) -> list[Result]:
        """Return the last boot of which the trials are forks, if there was one."""
        found = [
            result
            for result in self._results()
            if "trial" not in result and result["run"]["trial_id"] == boot_id
        ]
        return found[-1:]

    def start(self, results: Iterable[Result]) -> None:
        """Begin the file of a job at work anew, with what is taken over."""
        lines = "".join(map(_line, results))
        write_atomically(self._path, lines)

    def add(self, result: Result) -> None:
        """Append one result."""
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, _line(result).encode())
        finally:
            os.close(handle)

    def pack(self, results: Iterable[Result]) -> None:
        """End the job's file, and keep its results for whenever the cell is run again.

        What the same code has made before is kept too: of more seeds, or of another guest image.
        """
        kept = {r["run"]["trial_id"]: r for r in (*self._results(), *results)}
        write_packed(self._path, kept.values())
        self._path.unlink(missing_ok=True)

    def half_done(self) -> list[Result]:
        """Return what a job that has not ended has, what it took over included."""
        return list(self._of_same_code(self._lines()))

    def _results(self) -> Iterator[Result]:
        """Yield what the same code has made, older results first."""
        return self._of_same_code([*self._packed_lines(), *self._lines()])

    def _of_same_code(self, lines: Iterable[bytes]) -> Iterator[Result]:
        for line in lines:
            try:
                result: dict[str, Any] = json.loads(line)
                is_ours = result["run"]["made_by"] == self._made_by
            except (ValueError, KeyError, TypeError):
                continue  # cut short, or of another version: as if it had never been made
            if is_ours:
                yield result

    def _packed_lines(self) -> list[bytes]:
        try:
            return gzip.decompress(self._packed.read_bytes()).splitlines()
        except (OSError, EOFError, zlib.error):
            return []  # not there, or damaged

    def _lines(self) -> list[bytes]:
        return self._path.read_bytes().splitlines() if self._path.exists() else []


def _packed(path: Path) -> Path:
    return path.with_suffix(".jsonl.gz")


def _line(result: Result) -> str:
    return json.dumps(result, separators=(",", ":")) + "\n"
