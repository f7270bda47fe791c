# SPDX-License-Identifier: GPL-2.0-only
"""What is merged: the results folder of each part of a study."""

from collections.abc import Collection, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.archive.lockfile import Lock
from carveout.boots.cell_trials import Result
from carveout.boots.journal import Journal, journals_half_done
from carveout.common import schemas
from carveout.common.errors import CarveoutError
from carveout.records.lines import read_line
from carveout.records.outcomes import was_run


@dataclass(frozen=True)
class Part:
    """A results folder, as the user named it."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def files(self) -> list[Path]:
        """Return all files of which something is merged."""
        kinds = ("qemu.json", "lock.yaml", "kernels/*/kernel.json", "guest/*/base.sha256")
        lines = ("trials/**/*.jsonl", "runs/**/*.jsonl")
        found = {path for kind in (*kinds, *lines) for path in self.folder.glob(kind)}
        return sorted(found | self._half_done().keys())

    def cells(self) -> set[str]:
        """Return the paths of all cells of which trials were made, in cells half done too."""
        trials = self.folder / "trials"
        ended = trials.glob("*/*/*/*/*.jsonl")
        return {
            *(str(path.relative_to(trials).with_suffix("")) for path in ended),
            *self._half_done().values(),
        }

    def _half_done(self) -> dict[Path, str]:
        return journals_half_done(self.folder / "journals")

    def fact(self, name: str) -> bytes | None:
        """Return the content of one of its small files, or None if it has none of that name."""
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None

    def lock(self) -> Lock:
        """Return the packages that it was made with."""
        return Lock.read(self.folder / "lock.yaml")

    def results(self, cell: str, known_code: Collection[str]) -> list[Result]:
        """Return what was made of a cell: with `trial`, `run` or both, as `run_cell` returns it.

        Args:
            cell: its path.
            known_code: the digests (`made_by`) of the code whose trials may be merged.

        Raises:
            CarveoutError: its files cannot be read, or other code has made them.
        """
        trials = self.folder / "trials" / f"{cell}.jsonl"
        if not trials.is_file():
            journal = self.folder / "journals" / f"{cell}.jsonl"
            return [found for by in known_code for found in Journal(journal, by).half_done()]
        runs = self.folder / "runs" / f"{cell}.jsonl"
        usage = {run["trial_id"]: run for run in _objects(runs, ("trial_id", "made_by", "process"))}
        for run in usage.values():
            if run["made_by"] not in known_code:
                raise CarveoutError(
                    f"{runs}: wanted trials that the code of this checkout makes, found those of "
                    "other code; merge with the revision that made them, which is named at the end "
                    "of the folder's report.html, or run the part again"
                )
        made = _objects(trials, ("trial_id", "digests", "cell", "ending", "records"))
        told = {trial["trial_id"] for trial in made}
        ended = [run["trial_id"] for run in usage.values() if run["process"] == "trial"]
        _check_has_all(trials, told, ended, runs)
        _check_has_all(runs, usage, [t["trial_id"] for t in made if was_run(t)], trials)
        used = {name: {"run": run} for name, run in usage.items()}
        boots = [used[name] for name, run in usage.items() if run["process"] == "boot"]
        return [*boots, *({"trial": trial} | used.get(trial["trial_id"], {}) for trial in made)]


def read_parts(names: object) -> list[Part]:
    """Return the parts that the key `from` names.

    Args:
        names: as Snakemake read it: a list, or a text with spaces between the folders.

    Raises:
        CarveoutError: one of them is no results folder, or is named twice.
    """
    listed = names if isinstance(names, list) else str(names).split()
    parts = [Part(Path(str(name))) for name in listed]
    if not parts:
        raise CarveoutError("--config: wanted from='DIR1 DIR2', found no folder")
    for place, part in enumerate(parts):
        if problem := schemas.matches(str(part), "config", "path"):
            raise CarveoutError(f"from: wanted the path of a results folder, found: {problem}")
        if not (part.folder / "lock.yaml").is_file():
            raise CarveoutError(
                f"from={part}: wanted a results folder, found no lock.yaml in it; relative paths "
                "begin where the command is run, and names with spaces are written as a list: "
                'from=\'["site a", "site b"]\''
            )
        if any(part.folder.samefile(other.folder) for other in parts[:place]):
            raise CarveoutError(f"from={part}: wanted every folder once, found it twice")
    return parts


def check_target(results: Path, parts: Sequence[Part]) -> None:
    """Refuse to merge into a folder that has trials of its own, which would be overwritten."""
    is_part = results.is_dir() and any(results.samefile(part.folder) for part in parts)
    is_run = Part(results).cells() and not (results / "logs/merge").exists()
    if is_part or is_run or any((results / "logs" / kind).exists() for kind in ("boots", "parts")):
        raise CarveoutError(
            f"results={results}: wanted a new folder, or one that was merged before, found trials "
            "that were made there; merge into another folder, and name this one in from= too"
        )


def _check_has_all(
    path: Path, found: Container[str], trial_ids: Iterable[str], beside: Path
) -> None:
    """Refuse one of a cell's two files that lacks a line for a trial that the other tells of."""
    for trial_id in trial_ids:
        if trial_id not in found:
            raise CarveoutError(
                f"{path}: wanted a line for trial {trial_id} of {beside}, found none; "
                "remove both files to run the cell again"
            )


def _objects(path: Path, members: Collection[str]) -> list[dict[str, Any]]:
    """Return the objects of a file's lines, which have some members."""
    found = []
    try:
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            content = read_line(line)
            if not set(members) <= content.keys():
                raise ValueError(f"line {number} lacks one of {', '.join(members)}")
            found.append(content)
    except (OSError, ValueError) as error:
        raise CarveoutError(
            f"{path}: wanted a cell's output, found {error}; remove the file to run its cell again"
        ) from error
    return found
