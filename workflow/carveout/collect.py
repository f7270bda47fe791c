# SPDX-License-Identifier: GPL-2.0-only
"""From trial records to tables: one row a trial and cycle, one a census, one a QEMU process."""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from carveout.errors import entry_point
from carveout.files import sha256_of_json
from carveout.revision import git_revision
from carveout.tables import TABLES, ZONES, write_table

Row = dict[str, Any]


def collect(trials: Iterable[Path], runs: Iterable[Path], folder: Path) -> None:
    """Writes ``trials``, ``phases`` and ``runs`` of all cells' outputs into ``folder``."""
    trial_rows: list[Row] = []
    phase_rows: list[Row] = []
    digests: dict[str, set[str]] = defaultdict(set)
    for trial in read_lines(trials):
        trial_rows.extend(cycle_rows(trial))
        phase_rows.extend(census_rows(trial))
        for name, digest in trial["digests"].items():
            digests[name].add(digest)
    provenance = _provenance(digests)
    _write(folder, "trials", trial_rows, provenance)
    _write(folder, "phases", phase_rows, provenance)
    _write(folder, "runs", list(read_lines(runs)), {"carveout_revision": git_revision()})


def _write(folder: Path, name: str, rows: Sequence[Row], metadata: Mapping[str, str]) -> None:
    frame = pd.DataFrame(rows, columns=list(TABLES[name].columns))
    write_table(name, frame, folder / f"{name}.parquet", metadata)


def _provenance(digests: Mapping[str, set[str]]) -> dict[str, str]:
    """What made the trials and does not change from run to run, as the tables' metadata."""
    return {
        "qemu_version": ", ".join(sorted(digests["qemu"])),
        "kernel_image_sha256": ", ".join(sorted(digests["kernel"])),
        "guest_images_sha256": sha256_of_json(sorted(digests["initrd"])),
    }


def read_lines(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The objects of files that hold one JSON object a line."""
    for path in paths:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                yield json.loads(line)


def cycle_rows(trial: Mapping[str, Any]) -> list[Row]:
    """The rows of table ``trials`` that one trial makes: one a request, whatever became of it."""
    cell, records = trial["cell"], trial["records"]
    cause = trial["ending"]["cause"]
    died_stage, died_cycle = _last_stage(records)
    rows = []
    for cycle, request_bytes in enumerate(cell["requests_bytes"], start=1):
        found = {
            record["record"]: record for record in records if record.get("cycle") == cycle
        } | _first_records(records)
        row = _trial_columns(trial, cycle, request_bytes) | _measured(
            cell["ram_bytes"], records, found, cycle
        )
        if cause is not None and cycle >= died_cycle:
            # The host is dead: later requests never reached it, and count as not served.
            stage = died_stage if cycle == max(died_cycle, 1) else "earlier_cycle"
            row |= {"outcome": "crashed", "cause": cause, "stage": stage}
            row["message"] = trial["ending"]["message"]
        rows.append(row)
    return rows


def census_rows(trial: Mapping[str, Any]) -> list[Row]:
    """The rows of table ``phases`` that one trial makes."""
    cell = trial["cell"]
    return [
        {
            "trial_id": trial["trial_id"],
            "strategy": cell["variant"]["strategy"],
            "variant": cell["variant"]["name"],
            "scenario": _scenario(cell),
            "seed": trial["seed"],
            **{name: census[name] for name in _CENSUS_COLUMNS},
            "stranded_bytes": stranded_bytes(cell["ram_bytes"], census),
            "movable_only_bytes": movable_only_bytes(census),
            **_zone_columns(census["zones"]),
        }
        for census in trial["records"]
        if census["record"] == "census"
    ]


def stranded_bytes(ram_bytes: int, census: Mapping[str, Any]) -> int:
    """Bytes set aside, not lent, that Linux cannot use: unknown to it, or idle in a huge-page pool.

    The machine's RAM, less what Linux has a memmap for and may use, less what is lent of the
    memory that Linux does not have; and the huge pages that nobody was lent.
    """
    hidden: int = ram_bytes - census["present_bytes"] - census["lent_absent_bytes"]
    return hidden + int(census["hugetlb_unlent_bytes"])


def movable_only_bytes(census: Mapping[str, Any]) -> int:
    """Bytes that Linux may use for movable pages alone: CMA areas and ZONE_MOVABLE, not lent."""
    return int(census["cma_unlent_bytes"]) + int(census["movable_zone_unlent_bytes"])


_CENSUS_COLUMNS = (
    *("cycle", "phase", "memmap_bytes", "memmap_lent_bytes", "memmap_counter_bytes"),
    *("page_table_bytes", "mem_total_bytes", "mem_free_bytes", "mem_available_bytes"),
    *("present_bytes", "lent_absent_bytes", "first_pfn", "pageblock_bytes", "pageblocks"),
)


def _scenario(cell: Mapping[str, Any]) -> str:
    return f"{cell['load']}-{cell['dose_percent']}.{cell['requests']}"


def _first_records(records: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The records that a trial has once: of its boot and of its load."""
    return {r["record"]: r for r in records if r["record"] in ("hello", "load")}


def _last_stage(records: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """The stage and cycle that a guest entered last; cycle 0 is all before the first request."""
    for record in reversed(records):
        if record["record"] == "stage":
            return record["stage"], record.get("cycle", 0)
    return "boot", 0


def _trial_columns(trial: Mapping[str, Any], cycle: int, request_bytes: int) -> Row:
    cell = trial["cell"]
    return {
        "trial_id": trial["trial_id"],
        "kernel": cell["kernel"],
        "ram_bytes": cell["ram_bytes"],
        "lendable_bytes": cell["lendable_bytes"],
        "cpus": cell["cpus"],
        "strategy": cell["variant"]["strategy"],
        "variant": cell["variant"]["name"],
        "scenario": _scenario(cell),
        "load": cell["load"],
        "dose_target": cell["dose_percent"],
        "requests": cell["requests"],
        "seed": trial["seed"],
        "cycle": cycle,
        "request_bytes": request_bytes,
        "align_bytes": cell["variant"]["parameters"]["align_bytes"],
    }


def _measured(
    ram_bytes: int,
    records: Sequence[Mapping[str, Any]],
    found: Mapping[str, Mapping[str, Any]],
    cycle: int,
) -> Row:
    """What a cycle's records say; a record that is missing leaves nulls."""
    census = {
        record["phase"]: record
        for record in records
        if record["record"] == "census" and record["cycle"] == cycle
    }
    hello, load = found.get("hello", {}), found.get("load", {})
    before = census.get("before")
    return {
        "kernel_release": hello.get("kernel_release"),
        "page_bytes": hello.get("page_bytes"),
        "dose_achieved": load.get("dose_achieved_percent"),
        "stranded_bytes": before and stranded_bytes(ram_bytes, before),
        **_census_columns(census),
        **_lend_columns(found.get("lend")),
        **_verify_columns(found, census.get("lent")),
        **_return_columns(found.get("give_back", {}), found.get("reuse", {})),
        "message": None,
        "cause": None,
    }


_LEND_COLUMNS = (
    *("stage", "errno", "granted_bytes", "extents", "largest_extent_bytes", "lend_ns"),
    *("pages_migrated", "pages_reclaimed", "oom_kills"),
)


def _lend_columns(lend: Mapping[str, Any] | None) -> Row:
    if lend is None:
        nothing = {"granted_bytes": 0, "extents": 0, "largest_extent_bytes": 0}
        return {name: nothing.get(name) for name in _LEND_COLUMNS} | {
            "outcome": "crashed",
            "blocker": None,
        }
    blocker = lend["blocker"]
    return {name: lend[name] for name in _LEND_COLUMNS} | {
        "outcome": _outcome(lend["granted_bytes"], lend["request_bytes"]),
        "blocker": None if blocker is None else json.dumps(blocker, sort_keys=True),
    }


def _outcome(granted_bytes: int, request_bytes: int) -> str:
    if granted_bytes >= request_bytes:
        return "granted"
    return "partial" if granted_bytes > 0 else "refused"


def _census_columns(census: Mapping[str, Mapping[str, Any]]) -> Row:
    before, lent, after = (census.get(phase) for phase in ("before", "lent", "after"))
    return {
        "memmap_idle_bytes": before and before["memmap_bytes"],
        "movable_only_bytes": before and movable_only_bytes(before),
        "memmap_bytes": lent and lent["memmap_bytes"],
        "memmap_lent_bytes": lent and lent["memmap_lent_bytes"],
        "regained_bytes": lent
        and after
        and after["mem_available_bytes"] - lent["mem_available_bytes"],
    }


def _verify_columns(found: Mapping[str, Mapping[str, Any]], lent: Mapping[str, Any] | None) -> Row:
    """Whether all that was granted is really there and ours alone.

    Every lent page must hold its pattern, lie in no earlier lend and be free in no allocator.
    Frames that Linux gave away (virtio-mem) cannot be written by it: they must be absent instead.
    """
    verify = found.get("verify")
    if verify is None or lent is None:
        return {"verify": "not_checked", "verify_pages_checked": None, "verify_pages_bad": None}
    bad = verify["pages_bad"] + verify["pages_overlapping"] + verify["pages_free"]
    checked_bytes = verify["pages_checked"] * found["hello"]["page_bytes"]
    whole = max(checked_bytes, lent["lent_absent_bytes"]) >= found["lend"]["granted_bytes"]
    return {
        "verify": "ok" if whole and bad == 0 else "failed",
        "verify_pages_checked": verify["pages_checked"],
        "verify_pages_bad": bad,
    }


def _return_columns(give_back: Mapping[str, Any], reuse: Mapping[str, Any]) -> Row:
    return {
        "give_back_ns": give_back.get("give_back_ns"),
        "give_back_errno": give_back.get("errno"),
        "returned_bytes": give_back.get("returned_bytes"),
        "reuse_movable_bytes": reuse.get("reuse_movable_bytes"),
        "reuse_unmovable_bytes": reuse.get("reuse_unmovable_bytes"),
    }


def _zone_columns(zones: Sequence[Mapping[str, Any]]) -> Row:
    """Managed, present and spanned pages of each zone; null where the host has no such zone."""
    return {
        f"{zone['name'].lower()}_{what}_pages": zone[f"{what}_pages"]
        for zone in zones
        if zone["name"].lower() in ZONES
        for what in ("managed", "present", "spanned")
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.collect", description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the results folder")
    # The cells are a product, which spares a command line as long as the matrix is large.
    for name, example in {
        "machines": "kernel/ram",
        "variants": "strategy/variant",
        "scenarios": "load-dose.requests",
    }.items():
        parser.add_argument(f"--{name}", required=True, nargs="+", metavar=example)
    return parser.parse_args()


@entry_point
def main() -> None:
    """Collects the outputs of the boot jobs of a matrix."""
    args = _arguments()
    cells = [
        f"{machine}/{variant}/{scenario}.jsonl"
        for machine in args.machines
        for variant in args.variants
        for scenario in args.scenarios
    ]
    collect(
        [args.results / "trials" / cell for cell in cells],
        [args.results / "runs" / cell for cell in cells],
        args.results / "tables",
    )


if __name__ == "__main__":
    raise SystemExit(main())
