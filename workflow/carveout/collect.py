# SPDX-License-Identifier: GPL-2.0-only
"""From trial records to tables: one row a trial and cycle, one a census, one a QEMU process."""

import argparse
import gc
import itertools
import json
import multiprocessing
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]

from carveout.errors import CarveoutError, entry_point
from carveout.files import sha256_of, sha256_of_json, write_atomically
from carveout.outcomes import lend_outcome
from carveout.revision import git_revision
from carveout.sizes import parse_size
from carveout.tables import TABLES, ZONES, TableWriter, checked_piece, open_table

Row = dict[str, Any]
Object = Mapping[str, Any]

# What becomes rows at once: the pieces of all processes must fit into memory as Arrow columns.
_PIECE_BYTES = 96 * 2**20
_READ_BYTES = 2**20
_BATCH_LINES = 128


@dataclass(frozen=True)
class CellName:
    """What a cell's path says: the order of cells is the order of the tables."""

    kernel: str
    ram: str
    strategy: str
    variant: str
    scenario: str

    @property
    def path(self) -> str:
        """The cell's path below `trials` and `runs`."""
        return f"{self.kernel}/{self.ram}/{self.strategy}/{self.variant}/{self.scenario}.jsonl"

    @property
    def ram_bytes(self) -> int:
        """The machine's RAM."""
        return parse_size(self.ram, f"the machine of {self.path}")

    @property
    def place(self) -> tuple[str, int, str, str, str]:
        """What the cell is sorted by."""
        return (self.kernel, self.ram_bytes, self.strategy, self.variant, self.scenario)


@dataclass(frozen=True)
class Part:
    """The lines of a cell's file that begin in a range of bytes."""

    path: Path
    cell: CellName
    first_byte: int
    end_byte: int


@dataclass(frozen=True)
class Piece:
    """Lines that one process reads at once: many small cells, or a part of a large one."""

    kind: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Collected:
    """What became of a piece: rows of tables as compressed Arrow streams, and the digests."""

    tables: Mapping[str, bytes]
    digests: Mapping[str, set[str]]


def collect(results: Path, cells: Iterable[CellName], processes: int = 1) -> None:
    """Writes ``trials``, ``phases`` and ``runs`` of all cells' outputs below ``results``.

    The bytes depend on the cells' outputs alone, not on their order or on ``processes``.
    """
    ordered = sorted(cells, key=lambda cell: cell.place)
    pieces = [*_pieces(results, "trials", ordered), *_pieces(results, "runs", ordered)]
    digests: dict[str, set[str]] = defaultdict(set)
    ids: list[pyarrow.ChunkedArray] = []
    folder = results / "tables"
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(open_table(name, folder / f"{name}.parquet"))
            for name in ("trials", "phases", "runs")
        }
        for collected in _read_all(pieces, processes):
            for name, stream in collected.tables.items():
                rows = pyarrow.ipc.open_stream(stream).read_all()
                tables[name].write(rows)
                if name == "trials":
                    ids.append(_ids(rows))
            for name, found in collected.digests.items():
                digests[name] |= found
        _check_once(ids)
        _describe(tables, digests)
    for name in tables:
        # Snakemake compares small files by content, and these tables grow large.
        digest = sha256_of(folder / f"{name}.parquet")
        write_atomically(folder / f"{name}.sha256", f"{digest}\n")


def _ids(trials: pyarrow.Table) -> pyarrow.ChunkedArray:
    """The trials of rows, each once: every trial has a first cycle."""
    return trials.filter(pyarrow.compute.field("cycle") == 1)["trial_id"]


def _check_once(ids: Sequence[pyarrow.ChunkedArray]) -> None:
    """Two cells that determine the same trial are one cell with two names."""
    counts = pyarrow.chunked_array(
        [chunk for array in ids for chunk in array.chunks], pyarrow.string()
    ).value_counts()
    for entry in counts.filter(pyarrow.compute.greater(counts.field("counts"), 1))[:1].to_pylist():
        raise CarveoutError(
            f"wanted every trial once, found {entry['counts']} of the id {entry['values']}; "
            "do two names of the config stand for the same loads or requests?"
        )


def _describe(tables: Mapping[str, TableWriter], digests: Mapping[str, set[str]]) -> None:
    """Says what made the trials and does not change from run to run, as the tables' metadata."""
    provenance = {
        "qemu_version": ", ".join(sorted(digests["qemu"])),
        "kernel_image_sha256": ", ".join(sorted(digests["kernel"])),
        "guest_images_sha256": sha256_of_json(sorted(digests["initrd"])),
    }
    tables["trials"].describe(provenance)
    tables["phases"].describe(provenance)
    tables["runs"].describe({"carveout_revision": git_revision()})


def _pieces(results: Path, kind: str, cells: Sequence[CellName]) -> Iterator[Piece]:
    """Cuts the cells' files into pieces of about the same size."""
    parts: list[Part] = []
    room = _PIECE_BYTES
    for cell in cells:
        path = results / kind / cell.path
        first, size = 0, _size(path)
        while first < size:
            end = min(size, first + room)
            parts.append(Part(path, cell, first, end))
            room -= end - first
            first = end
            if room == 0:
                yield Piece(kind, tuple(parts))
                parts, room = [], _PIECE_BYTES
    if parts:
        yield Piece(kind, tuple(parts))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise CarveoutError(f"{path}: wanted a cell's output; {error.strerror}") from error


def _read_all(pieces: Sequence[Piece], processes: int) -> Iterator[Collected]:
    """What all pieces hold, in their order; no more is read ahead than there are processes."""
    processes = min(processes, len(pieces))
    if processes <= 1:
        yield from map(read_piece, pieces)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["carveout.tables"])
    waiting: deque[Future[Collected]] = deque()
    with ProcessPoolExecutor(processes, context) as pool:
        for piece in pieces:
            waiting.append(pool.submit(read_piece, piece))
            if len(waiting) > processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def read_piece(piece: Piece) -> Collected:
    """The checked rows of a piece."""
    # What is parsed lives shortly and has no cycles: looking for some takes as long as parsing.
    gc.disable()
    tables: dict[str, list[pyarrow.Table]] = defaultdict(list)
    digests: dict[str, set[str]] = defaultdict(set)
    last: Mapping[str, str] = {}
    for part in piece.parts:
        for batch in _batches(_lines(part)):
            for name, make in _MAKERS[piece.kind].items():
                tables[name].append(_made(name, make, batch, part))
            for line in batch:
                if (made_of := line.get("digests", last)) != last:
                    last = made_of
                    for name, digest in made_of.items():
                        digests[name].add(digest)
    source = piece.parts[0].path
    return Collected(
        {name: _stream(checked_piece(name, made, source)) for name, made in tables.items()}, digests
    )


def _made(name: str, make: "_Maker", batch: Sequence[Object], part: Part) -> pyarrow.Table:
    try:
        return make(batch, part.cell)
    except (KeyError, TypeError, pyarrow.ArrowException) as error:
        raise CarveoutError(
            f"table {name} ({part.path}): wanted what this version's runner writes, found "
            f"{type(error).__name__}: {error}; remove the file to run its cell again"
        ) from error


def _batches(lines: Iterator[Object]) -> Iterator[Sequence[Object]]:
    """A few lines at a time: as many as stay in a CPU's cache until they are Arrow columns."""
    while batch := list(itertools.islice(lines, _BATCH_LINES)):
        yield batch


def _lines(part: Part) -> Iterator[Object]:
    """The objects of the lines that begin in a part."""
    with part.path.open("rb", buffering=_READ_BYTES) as stream:
        if part.first_byte:
            # The line that holds the byte before belongs to the part before.
            stream.seek(part.first_byte - 1)
            stream.readline()
        place = stream.tell()
        while place < part.end_byte:
            line = stream.readline()
            place += len(line)
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise CarveoutError(
                    f"{part.path}: wanted an object a line, found {line[:80]!r}: {error}; "
                    "remove the file to run its cell again"
                ) from error


def _stream(rows: pyarrow.Table) -> bytes:
    sink = pyarrow.BufferOutputStream()
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with pyarrow.ipc.new_stream(sink, rows.schema, options=options) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


def trials_of(trials: Sequence[Object], _: CellName) -> pyarrow.Table:
    """The rows of table ``trials`` that trials make: one a request, whatever became of it."""
    return _table(
        "trials", [_key(trial) | _conditions(trial) for trial in trials], map(cycle_rows, trials)
    )


def phases_of(trials: Sequence[Object], _: CellName) -> pyarrow.Table:
    """The rows of table ``phases`` that trials make: one a census."""
    return _table("phases", [_key(trial) for trial in trials], map(_censuses, trials))


def runs_of(runs: Sequence[Object], cell: CellName) -> pyarrow.Table:
    """The rows of table ``runs`` that QEMU processes make: one each."""
    machine = {"kernel": cell.kernel, "ram_bytes": cell.ram_bytes}
    return _table("runs", [machine] * len(runs), [[run] for run in runs])


_Maker = Callable[[Sequence[Object], CellName], pyarrow.Table]

# Which rows of which tables the lines of which files make.
_MAKERS: Mapping[str, Mapping[str, _Maker]] = {
    "trials": {"trials": trials_of, "phases": phases_of},
    "runs": {"runs": runs_of},
}


def _table(
    name: str, common: Sequence[Object], groups: Iterable[Sequence[Object]]
) -> pyarrow.Table:
    """A table of groups of rows.

    Args:
        name: the table's; what is no column of it is left out.
        common: what all rows of a group have in common.
        groups: the rows, with what they have of their own.
    """
    schema = TABLES[name].arrow_schema()
    sizes: list[int] = []
    rows: list[Object] = []
    for group in groups:
        sizes.append(len(group))
        rows.extend(group)
    shared = [column for column in schema.names if column in common[0]]
    own = [column for column in schema.names if column not in common[0]]
    group_of_row = pyarrow.array(np.repeat(np.arange(len(sizes)), sizes))
    columns = {
        column: _repeated(values, schema.field(column).type, group_of_row)
        for column, values in _columns(shared, common)
    } | {
        column: pyarrow.array(values, schema.field(column).type)
        for column, values in _columns(own, rows)
    }
    return pyarrow.table(columns, schema)


def _repeated(
    values: Sequence[Any], arrow_type: pyarrow.DataType, group_of_row: pyarrow.Array
) -> pyarrow.Array:
    """Each group's value for all of its rows; most are the same in a whole cell."""
    if values.count(values[0]) == len(values):
        return pyarrow.repeat(pyarrow.scalar(values[0], arrow_type), len(group_of_row))
    return pyarrow.array(values, arrow_type).take(group_of_row)


def _columns(names: Sequence[str], rows: Sequence[Object]) -> Iterator[tuple[str, Sequence[Any]]]:
    values = zip(*map(itemgetter(*names), rows), strict=True) if rows else itertools.repeat(())
    return zip(names, values, strict=False)


def _key(trial: Object) -> Row:
    """Which trial it is."""
    cell = trial["cell"]
    return {
        "trial_id": trial["trial_id"],
        "kernel": cell["kernel"],
        "ram_bytes": cell["ram_bytes"],
        "strategy": cell["variant"]["strategy"],
        "variant": cell["variant"]["name"],
        "scenario": f"{cell['load']}-{cell['dose_percent']}.{cell['requests']}",
        "seed": trial["seed"],
    }


def _conditions(trial: Object) -> Row:
    """What all requests of a trial have in common."""
    cell = trial["cell"]
    found = {r["record"]: r for r in trial["records"] if r["record"] in ("hello", "load")}
    hello, rule = found.get("hello", _NOTHING), cell["replication"]
    return {
        "lendable_bytes": cell["lendable_bytes"],
        "cpus": cell["cpus"],
        "load": cell["load"],
        "dose_target": cell["dose_percent"],
        "requests": cell["requests"],
        "trials_asked": cell["seeds"],
        "replication": rule and json.dumps(rule, sort_keys=True),
        "align_bytes": cell["variant"]["parameters"]["align_bytes"],
        "kernel_release": hello.get("kernel_release"),
        "page_bytes": hello.get("page_bytes"),
        "dose_achieved": found.get("load", _NOTHING).get("dose_achieved_percent"),
    }


# A request that nothing is known of, not even that it was made.
_UNKNOWN = dict.fromkeys(TABLES["trials"].columns) | {
    "outcome": "crashed",
    "granted_bytes": 0,
    "extents": 0,
    "largest_extent_bytes": 0,
    "verify": "not_checked",
}

# A cycle's records by cycle and by name, or phase of a census; those of the boot are of cycle 0.
# One that is missing leaves nulls.
_Found = Mapping[tuple[int, str], Object]
_NOTHING: Object = {}


def cycle_rows(trial: Object) -> list[Row]:
    """What each request of a trial met with, named as the columns of table ``trials`` are."""
    cell, records, ending = trial["cell"], trial["records"], trial["ending"]
    found = {
        (record.get("cycle", 0), record.get("phase") or record["record"]): record
        for record in records
        if record["record"] != "stage"  # half of all records, of which no column is made
    }
    rows: list[Row] = [
        {
            **_UNKNOWN,
            "cycle": cycle,
            "request_bytes": request_bytes,
            **_lend_columns(found.get((cycle, "lend"))),
            **_census_columns(found, cycle, cell["ram_bytes"]),
            **_verify_columns(found, cycle),
            **_return_columns(found, cycle),
        }
        for cycle, request_bytes in enumerate(cell["requests_bytes"], start=1)
    ]
    if ending["cause"] is not None:
        died_stage, died_cycle = _last_stage(records)
        for row in rows[max(died_cycle, 1) - 1 :]:
            # The host is dead: later requests never reached it, and count as not served.
            stage = died_stage if row["cycle"] == max(died_cycle, 1) else "earlier_cycle"
            row |= {"outcome": "crashed", "stage": stage, **ending}
    return rows


def _censuses(trial: Object) -> list[Object]:
    """The censuses of a trial: members are named as columns are, and what follows from them."""
    ram_bytes = trial["cell"]["ram_bytes"]
    censuses = [record for record in trial["records"] if record["record"] == "census"]
    for census in censuses:
        if len(census["zones"]) < len(_ZONE_COLUMNS):
            census.update(_NO_ZONES)
        census["stranded_bytes"] = stranded_bytes(ram_bytes, census)
        census["movable_only_bytes"] = movable_only_bytes(census)
        for zone in census["zones"]:
            managed, present, spanned = _ZONE_COLUMNS.get(zone["name"], _OTHER_ZONE)
            census[managed] = zone["managed_pages"]
            census[present] = zone["present_pages"]
            census[spanned] = zone["spanned_pages"]
    return censuses


# The columns of each zone's managed, present and spanned pages; null where a host has no such zone.
_ZONE_COLUMNS = {
    name: (f"{zone}_managed_pages", f"{zone}_present_pages", f"{zone}_spanned_pages")
    for name, zone in zip(("DMA", "DMA32", "Normal", "Movable"), ZONES, strict=True)
}
_OTHER_ZONE = ("", "", "")  # a zone that the table does not know
_NO_ZONES = {column: None for columns in _ZONE_COLUMNS.values() for column in columns}


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


def _last_stage(records: Sequence[Mapping[str, Any]]) -> tuple[str, int]:
    """The stage and cycle that a guest entered last; cycle 0 is all before the first request."""
    for record in reversed(records):
        if record["record"] == "stage":
            return record["stage"], record.get("cycle", 0)
    return "boot", 0


_LEND_COLUMNS = (
    *("stage", "errno", "granted_bytes", "extents", "largest_extent_bytes", "lend_ns"),
    *("pages_migrated", "pages_reclaimed", "oom_kills"),
)


def _lend_columns(lend: Object | None) -> Row:
    if lend is None:
        return {}
    blocker = lend["blocker"]
    return {name: lend[name] for name in _LEND_COLUMNS} | {
        "outcome": lend_outcome(lend["granted_bytes"], lend["request_bytes"]),
        "blocker": None if blocker is None else json.dumps(blocker, sort_keys=True),
    }


def _census_columns(found: _Found, cycle: int, ram_bytes: int) -> Row:
    before, lent, after = (found.get((cycle, phase)) for phase in ("before", "lent", "after"))
    row = {}
    if before:
        row["memmap_idle_bytes"] = before["memmap_bytes"]
        row["stranded_bytes"] = stranded_bytes(ram_bytes, before)
        row["movable_only_bytes"] = movable_only_bytes(before)
    if lent:
        row["memmap_bytes"] = lent["memmap_bytes"]
        row["memmap_lent_bytes"] = lent["memmap_lent_bytes"]
    if lent and after:
        row["regained_bytes"] = after["mem_available_bytes"] - lent["mem_available_bytes"]
    return row


def _verify_columns(found: _Found, cycle: int) -> Row:
    """Whether all that was granted is really there and ours alone.

    Every lent page must hold its pattern, lie in no earlier lend and be free in no allocator.
    Frames that Linux gave away (virtio-mem) cannot be written by it: they must be absent instead.
    """
    verify, lent = found.get((cycle, "verify")), found.get((cycle, "lent"))
    if verify is None or lent is None:
        return {}
    bad = verify["pages_bad"] + verify["pages_overlapping"] + verify["pages_free"]
    checked_bytes = verify["pages_checked"] * found[(0, "hello")]["page_bytes"]
    granted_bytes = found[(cycle, "lend")]["granted_bytes"]
    whole = max(checked_bytes, lent["lent_absent_bytes"]) >= granted_bytes
    return {
        "verify": "ok" if whole and bad == 0 else "failed",
        "verify_pages_checked": verify["pages_checked"],
        "verify_pages_bad": bad,
    }


def _return_columns(found: _Found, cycle: int) -> Row:
    give_back = found.get((cycle, "give_back"), _NOTHING)
    reuse = found.get((cycle, "reuse"), _NOTHING)
    return {
        "give_back_ns": give_back.get("give_back_ns"),
        "give_back_errno": give_back.get("errno"),
        "returned_bytes": give_back.get("returned_bytes"),
        "reuse_movable_bytes": reuse.get("reuse_movable_bytes"),
        "reuse_unmovable_bytes": reuse.get("reuse_unmovable_bytes"),
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
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


@entry_point
def main() -> None:
    """Collects the outputs of the boot jobs of a matrix."""
    args = _arguments()
    cells = [
        CellName(*f"{machine}/{variant}/{scenario}".split("/"))
        for machine in args.machines
        for variant in args.variants
        for scenario in args.scenarios
    ]
    collect(args.results, cells, args.processes)


if __name__ == "__main__":
    raise SystemExit(main())
