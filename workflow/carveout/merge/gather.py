# SPDX-License-Identifier: GPL-2.0-only
"""Gather what was made of all cells, out of several results folders, into the journals of one.

The same trial in two folders has to be the same to the byte. Exit status 4: it is not.
"""

import argparse
import csv
import io
import shutil
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from carveout.archive.lockfile import Entry, Lock
from carveout.boots.cell_trials import Result, point_of
from carveout.boots.journal import made_by, write_packed
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import write_atomically
from carveout.guests.engines import ENGINES
from carveout.merge.agreement import content_of, first_difference, setup_difference
from carveout.merge.parts import Part
from carveout.study.cell import Point

CONTRADICTION = 4
CONTRADICTIONS = "contradictions.csv"
STAMP = "merged.yaml"


@dataclass(frozen=True)
class Contradiction:
    """One trial that two folders have with different contents."""

    trial_id: str
    cell: str
    point: str
    first_folder: str
    second_folder: str
    differs: str

    def __str__(self) -> str:
        return (
            f"trial {self.trial_id} ({self.cell}, {self.point}) is not the same in "
            f"{self.first_folder} and {self.second_folder}: {self.differs}"
        )


class ContradictionError(CarveoutError):
    """The same trial has two contents."""


@dataclass
class Gathered:
    """What the folders have of one cell.

    Attributes:
        results: each boot and each trial once, of the first folder that has it.
        from_parts: the folder of each trial.
        shared: how many trials several folders have, with the same bytes.
    """

    cell: str
    results: dict[str, Result] = field(default_factory=dict)
    from_parts: dict[str, Part] = field(default_factory=dict)
    shared: int = 0
    contradictions: list[Contradiction] = field(default_factory=list)
    _points: dict[Point, str] = field(default_factory=dict)

    def add(self, part: Part, result: Result) -> None:
        """Add what a folder has.

        Raises:
            CarveoutError: it is of another set-up than what is there.
        """
        if "trial" not in result:
            self.results.setdefault(result["run"]["trial_id"], result)
            return
        trial, trial_id = result["trial"], result["trial"]["trial_id"]
        if trial_id not in self.from_parts:
            self._check_setup(part, trial)
            self._keep(part, result)
            return
        known = self.results[trial_id]["trial"]
        if content_of(known) == content_of(trial):
            self.shared += 1
        else:
            self.contradictions.append(
                Contradiction(
                    trial_id,
                    self.cell,
                    str(point_of(trial)),
                    str(self.from_parts[trial_id]),
                    str(part),
                    first_difference(known, trial),
                )
            )

    def _keep(self, part: Part, result: Result) -> None:
        trial_id = result["trial"]["trial_id"]
        self.results[trial_id] = result
        self.from_parts[trial_id] = part
        self._points[point_of(result["trial"])] = trial_id

    def _check_setup(self, part: Part, trial: Result) -> None:
        """Refuse a trial that no run of the others' cell could have made."""
        other_id = self._points.get(point_of(trial)) or next(iter(self.from_parts), None)
        if other_id is None:
            return
        other = self.results[other_id]["trial"]
        differs = setup_difference(other, trial)
        if differs is None and point_of(other) == point_of(trial):
            differs = "what the code tells the guest"
        if differs:
            raise CarveoutError(
                f"{self.cell}: wanted trials of one set-up, found that {self.from_parts[other_id]} "
                f"and {part} differ in {differs}; give them one config, one lock.yaml and one "
                "revision, and run one of them again"
            )


def gather(
    parts: Sequence[Part], results: Path, facts: Sequence[str], known_code: Collection[str]
) -> str:
    """Write the journals of all cells and what describes their machines; return what was done.

    Args:
        parts: what is merged; of what several have, the first's is taken.
        results: the folder that gets it.
        facts: files in which all parts that have them agree, by their paths in a folder.
        known_code: the digests of the code whose trials may be merged.

    Raises:
        ContradictionError: one line of the first, with the number of the others.
        CarveoutError: the parts were not made of the same machines.
    """
    journals = results / "journals"
    _forget_earlier_merge(results, journals)
    _gather_facts(parts, results, facts)
    contradictions: list[Contradiction] = []
    trials, shared = Counter[str](), 0
    for cell in sorted(set().union(*(part.cells() for part in parts))):
        found = Gathered(cell)
        for part in parts:
            for result in part.results(cell, known_code):
                found.add(part, result)
        contradictions += found.contradictions
        trials.update(map(str, found.from_parts.values()))
        shared += found.shared
        if not found.contradictions:
            write_packed(journals / f"{cell}.jsonl", found.results.values())
    if contradictions:
        _forget_earlier_merge(results, journals)
        raise _contradict(contradictions, results / CONTRADICTIONS)
    first_in = {str(part): trials[str(part)] for part in parts}
    counts = {"trials": trials.total(), "in_several_folders": shared, "first_in": first_in}
    write_atomically(results / STAMP, yaml.safe_dump(counts, sort_keys=False))
    said = ", ".join(f"{count} of {name}" for name, count in first_in.items())
    return f"merged {trials.total()} trials: {said}; {shared} more were the same in several"


def _forget_earlier_merge(results: Path, journals: Path) -> None:
    """Remove what was merged, of which some may be of a folder that is named no longer."""
    (results / CONTRADICTIONS).unlink(missing_ok=True)
    if journals.is_dir():
        shutil.rmtree(journals)


def _contradict(found: Sequence[Contradiction], path: Path) -> ContradictionError:
    """Write all contradictions, and return the error that tells the first."""
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(one.name for one in fields(Contradiction))
    table.writerows(astuple(one) for one in found)
    write_atomically(path, lines.getvalue())
    others = f" (and {len(found) - 1} further trials, all in {path})" if len(found) > 1 else ""
    return ContradictionError(
        f"contradiction: {found[0]}{others}; the same trial has the same bytes everywhere, so one "
        "of the folders was damaged or edited, or its machine computes otherwise: run the trial a "
        "third time, and trust no other trial of the folder that it contradicts"
    )


def _gather_facts(parts: Sequence[Part], results: Path, facts: Sequence[str]) -> None:
    """Write what describes QEMU, kernels and packages, in which all parts have to agree."""
    _merged_lock(parts).write(results / "lock.yaml")
    for name in facts:
        found = {part: content for part in parts if (content := part.fact(name)) is not None}
        if not found:
            raise CarveoutError(
                f"wanted {name} in one of {', '.join(map(str, parts))}, found none; leave out of "
                "the config what no part has run"
            )
        (first, content), *others = found.items()
        for part, other in others:
            if other != content:
                raise CarveoutError(
                    f"wanted parts of one machine, found that {name} differs between {first} and "
                    f"{part}; trials on another kernel, QEMU or guest image are other trials: give "
                    "both parts the same lock.yaml and revision, and run one of them again"
                )
        write_atomically(results / name, content)


def _merged_lock(parts: Sequence[Part]) -> Lock:
    entries: dict[str, Entry] = {}
    owners: dict[str, Part] = {}
    for part in parts:
        for key, entry in part.lock().entries.items():
            owner = owners.setdefault(key, part)
            known = entries.setdefault(key, entry)
            if _measured_with(known) != _measured_with(entry):
                raise CarveoutError(
                    f"wanted parts of one machine, found {key} {known.used.version} in the "
                    f"lock.yaml of {owner} and {entry.used.version} in that of {part}; trials on "
                    "other packages are other trials: copy the one lock.yaml to the other's "
                    "results folder, and run that part again"
                )
    return Lock(entries)


def _measured_with(entry: Entry) -> dict[str, Any]:
    """Return an entry without the tools, which merely built or ran what is measured."""
    return {**entry.to_json(), "tools": None}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m carveout.merge.gather", description=__doc__ and __doc__.splitlines()[0]
    )
    parser.add_argument("parts", nargs="+", type=Path, help="results folders")
    parser.add_argument("--results", required=True, type=Path, help="the folder that gets all")
    parser.add_argument("--facts", required=True, nargs="+", help="files that all have alike")
    parser.add_argument("--code", required=True, help="the digest of what decides about a trial")
    parser.add_argument("--record-schema", required=True, type=Path)
    return parser.parse_args()


def main() -> int:
    """Gather, and return the exit status."""
    is_contradiction = False

    @entry_point
    def run() -> None:
        nonlocal is_contradiction
        args = _arguments()
        known_code = [made_by(args.code, args.record_schema, engine) for engine in ENGINES]
        parts = [Part(folder) for folder in args.parts]
        try:
            said = gather(parts, args.results, args.facts, known_code)
        except ContradictionError:
            is_contradiction = True
            raise
        print(f"carveout: {said}", file=sys.stderr)

    status = run()
    return CONTRADICTION if is_contradiction else status


if __name__ == "__main__":
    sys.exit(main())
