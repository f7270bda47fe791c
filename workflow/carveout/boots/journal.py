# SPDX-License-Identifier: GPL-2.0-only
"""What was made of a cell so far, on disk: a job goes on from there, whatever became of others.

A trial is a pure function of what its id digests and of the code that made it. So whatever is the
reason to run a cell again, a trial with the same id and code would come out the same, and is taken
over. A job at work appends each result to a file, whole, by one write; a job that has ended
packs all of its results into another, which is renamed into place. Parts of a cell that are jobs
of their own have a journal each, beside the cell's, until the job that puts the cell together has
taken them in.
"""

import glob
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from carveout.boots.cell_trials import Result, point_of
from carveout.common.files import append_line, sha256_of, sha256_of_json, write_atomically
from carveout.records.lines import read_line, sealed_lines
from carveout.study.cell import Point

# The name of a journal: a cell's or a part's, of a job at work or packed.
_NAME = re.compile(r"(?P<cell>.+?)(?P<part>\.[0-9]+-of-[0-9]+)?\.jsonl(?P<packed>\.gz)?")


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
    lines = sealed_lines(results).encode()
    write_atomically(_packed(path), gzip.compress(lines, compresslevel=1, mtime=0))


def read_packed(path: Path) -> list[Result]:
    """Return all that was packed of a cell, by its journal's path; nothing where nothing was.

    Raises:
        OSError, EOFError, zlib.error, ValueError: the file is damaged.
    """
    packed = _packed(path)
    if not packed.exists():
        return []
    return [read_line(line) for line in gzip.decompress(packed.read_bytes()).splitlines()]


def journals_half_done(folder: Path) -> dict[Path, str]:
    """Return the files of cells whose own job has not ended, with the paths of these cells.

    Args:
        folder: that of all journals of a run.
    """
    found = {}
    for path in sorted(folder.glob("*/*/*/*/*.jsonl*")):
        name = _NAME.fullmatch(path.name)
        if name and (name["part"] or not name["packed"]):
            found[path] = str(path.relative_to(folder).with_name(name["cell"]))
    return found


class Journal:
    """The results of one cell that hold: its trials, and the boot of which they are forks."""

    def __init__(self, path: Path, made_by: str, part: str | None = None) -> None:
        """Name the journal of a cell, or of a part of it.

        Args:
            path: the file of a job at work on the cell; it need not exist. The packed one lies
                beside it.
            made_by: the digest of what decides about a result beside what its id digests.
            part: the part that is the job's, or None for the cell's own job.
        """
        self._cell_path = path
        self._path = path if part is None else path.with_name(f"{path.stem}.{part}.jsonl")
        self._is_of_cell = part is None
        self._made_by = made_by

    def trials(self, trial_ids: Mapping[Point, str]) -> list[Result]:
        """Return the trials that need not be made again.

        Args:
            trial_ids: the id of each point's trial.
        """
        found = {
            point_of(result["trial"]): result
            for result in self._results(self._files())
            if "trial" in result
            and trial_ids.get(point_of(result["trial"])) == result["trial"]["trial_id"]
        }
        return list(found.values())

    def boots(self, boot_id: str) -> list[Result]:
        """Return the last boot of which the trials are forks, if there was one."""
        found = [
            result
            for result in self._results(self._files())
            if "trial" not in result and result["run"]["trial_id"] == boot_id
        ]
        return found[-1:]

    def start(self, results: Iterable[Result]) -> None:
        """Begin the file of a job at work anew, with what is taken over."""
        write_atomically(self._path, sealed_lines(results))

    def add(self, result: Result) -> None:
        """Append one result."""
        append_line(self._path, sealed_lines([result]))

    def pack(self, results: Iterable[Result]) -> None:
        """End the job's file, and keep its results for whenever the cell is run again.

        What the same code has made before is kept too: of more seeds, or of another guest image.
        The cell's own job takes in what its parts have made.
        """
        own = [_packed(self._path), self._path]
        taken_in = self._files() if self._is_of_cell else own
        kept = {r["run"]["trial_id"]: r for r in (*self._results(taken_in), *results)}
        write_packed(self._path, kept.values())
        for path in set(taken_in) - {own[0]}:
            path.unlink(missing_ok=True)

    def half_done(self) -> list[Result]:
        """Return what was made of a cell whose own job has not ended, what was taken over included.

        Of its parts that is what those have that have ended, too. Of two results of one point, or
        of two boots with one id, it is the newer.
        """
        files = (path for path in self._files() if path != _packed(self._cell_path))
        found = {
            point_of(result["trial"]) if "trial" in result else result["run"]["trial_id"]: result
            for result in self._results(files)
        }
        return list(found.values())

    def _files(self) -> list[Path]:
        """Return all files of the cell, its parts' included, with this job's own last."""
        folder, stem = self._cell_path.parent, glob.escape(self._cell_path.stem)
        of_parts = sorted(folder.glob(f"{stem}.*-of-*.jsonl*"), key=_unpacked_last)
        own = [_packed(self._path), self._path]
        of_others = (_packed(self._cell_path), self._cell_path, *of_parts)
        return [*(path for path in of_others if path not in own), *own]

    def _results(self, files: Iterable[Path]) -> Iterator[Result]:
        """Yield what the same code has made, older results first."""
        for line in itertools.chain.from_iterable(map(_lines_of, files)):
            try:
                result = read_line(line)
                is_ours = result["run"]["made_by"] == self._made_by
            except (ValueError, KeyError, TypeError):
                continue  # cut short, damaged or of another version: as if never made
            if is_ours:
                yield result


def _unpacked_last(path: Path) -> tuple[bool, Path]:
    return path.suffix != ".gz", path


def _lines_of(path: Path) -> list[bytes]:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()
    except (OSError, EOFError, zlib.error):
        return []  # not there, or damaged


def _packed(path: Path) -> Path:
    return path.with_suffix(".jsonl.gz")
