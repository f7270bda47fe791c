# SPDX-License-Identifier: GPL-2.0-only
"""From the outputs of boot jobs to tables, in pieces that fit into memory, side by side."""

import argparse
import gc
import itertools
import multiprocessing
import os
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute  # type: ignore[import-untyped]

from carveout.archive.lockfile import Lock
from carveout.collection.rows import RunRows, Tables, TrialRows
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import sha256_of, sha256_of_json, write_atomically
from carveout.common.processes import end_with_parent
from carveout.common.revision import git_revision
from carveout.common.schemas import load_sealed
from carveout.records.channel import RECORDS_VERSION
from carveout.records.lines import read_line
from carveout.records.outcomes import Object, was_run
from carveout.study.cell import CellPath
from carveout.tables.parquet import TableWriter, checked_piece, open_table

# What the lines of each kind of file become.
_ROWS: Mapping[str, type[TrialRows | RunRows]] = {"trials": TrialRows, "runs": RunRows}
# Which of them tell of a trial for which a guest was run: each kind has a line for it.
_TELLS: Mapping[str, Callable[[Object], bool]] = {
    "trials": was_run,
    "runs": lambda run: bool(run["process"] == "trial"),
}

# How much a process makes rows of at once: all processes' pieces must fit into memory in Arrow.
_PIECE_BYTES = 96 * 2**20
_READ_BYTES = 2**20
# So many that columns pay, and so few that a CPU's cache has room for them.
_BATCH_LINES = 512


@dataclass(frozen=True)
class KernelFacts:
    """What is known of the kernel that a results folder was made with."""

    version: str
    pinned: str
    image_sha256: str

    @classmethod
    def read(cls, results: Path, kernel: str) -> "KernelFacts":
        """Return what the folder's description of a kernel says."""
        content = load_sealed(results / "kernels" / kernel / "kernel.json", "kernel_facts")
        return cls(content["version"], content["pinned"], content["image_sha256"])


@dataclass(frozen=True)
class Part:
    """The lines of a cell's file that begin in a range of bytes."""

    path: Path
    cell: CellPath
    kernel: KernelFacts
    first_byte: int
    end_byte: int


@dataclass(frozen=True)
class Piece:
    """Lines that one process reads at once: many small cells, or a part of a large one."""

    kind: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Collected:
    """What became of a piece: rows of tables as compressed Arrow streams, and the digests.

    Attributes:
        trials_run: for how many trials of a cell a guest was run, by the kind of file and the cell.
    """

    tables: Mapping[str, bytes]
    digests: Mapping[str, set[str]]
    trials_run: Counter[tuple[str, CellPath]]


def collect(results: Path, cells: Iterable[CellPath], processes: int = 1) -> None:
    """Write ``trials``, ``phases`` and ``runs`` of all cells' outputs below ``results``.

    The bytes depend on the cells' outputs alone, not on their order or on ``processes``.
    """
    ordered = sorted(cells, key=lambda cell: cell.place)
    pieces = [*_pieces(results, "trials", ordered), *_pieces(results, "runs", ordered)]
    digests: dict[str, set[str]] = defaultdict(set)
    trials_run: Counter[tuple[str, CellPath]] = Counter()
    ids: list[pyarrow.ChunkedArray] = []
    folder = results / "tables"
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(open_table(name, folder / f"{name}.parquet"))
            for name in ("trials", "phases", "runs")
        }
        for collected in _read_all(pieces, processes):
            for name, stream in collected.tables.items():
                rows = _table(stream)
                tables[name].write(rows)
                if name == "trials":
                    ids.append(_ids(rows))
            for name, found in collected.digests.items():
                digests[name] |= found
            trials_run += collected.trials_run
        _check_once(ids)
        _check_none_is_missing(results, ordered, trials_run)
        _describe(tables, digests, results, ordered)
    for name in tables:
        # Snakemake compares small files by content, and these tables grow large.
        digest = sha256_of(folder / f"{name}.parquet")
        write_atomically(folder / f"{name}.sha256", f"{digest}\n")


def _ids(trials: pyarrow.Table) -> pyarrow.ChunkedArray:
    """Return the ids of the trials that rows are of, each once: every trial has a first cycle.

    Each stands behind its kernel's name: two that are the same to the bit have the same trials.
    """
    first = trials.filter(pyarrow.compute.field("cycle") == 1)
    return pyarrow.compute.binary_join_element_wise(first["kernel"], first["trial_id"], " ")


def _check_once(ids: Sequence[pyarrow.ChunkedArray]) -> None:
    """Refuse a trial that occurs twice: two cells that determine it are one cell with two names."""
    counts = pyarrow.chunked_array(
        [chunk for array in ids for chunk in array.chunks], pyarrow.string()
    ).value_counts()
    for entry in counts.filter(pyarrow.compute.greater(counts.field("counts"), 1))[:1].to_pylist():
        raise CarveoutError(
            f"wanted every trial once, found {entry['counts']} of the id {entry['values']}; "
            "do two names of the config stand for the same loads or requests?"
        )


def _check_none_is_missing(
    results: Path, cells: Iterable[CellPath], trials_run: Counter[tuple[str, CellPath]]
) -> None:
    """Refuse a file that lacks whole lines: both of a cell's tell of the same trials."""
    for cell in cells:
        found, wanted = trials_run["trials", cell], trials_run["runs", cell]
        trials, runs = (results / kind / f"{cell}.jsonl" for kind in ("trials", "runs"))
        if found != wanted or not _size(trials):
            raise CarveoutError(
                f"{trials}: wanted the {wanted} trials of {runs} or why none ran, found {found}; "
                "remove both files to run the cell again"
            )


def _describe(
    tables: Mapping[str, TableWriter],
    digests: Mapping[str, set[str]],
    results: Path,
    cells: Sequence[CellPath],
) -> None:
    """Write as metadata what made the trials; what changes from run to run is in ``runs`` alone."""
    provenance = {
        "qemu_version": ", ".join(sorted(digests["qemu"])),
        "kernel_image_sha256": ", ".join(sorted(digests["kernel"])),
        "guest_images_sha256": sha256_of_json(sorted(digests["initrd"])),
    }
    tables["trials"].describe(provenance)
    tables["phases"].describe(provenance)
    lock = Lock.read(results / "lock.yaml").only(_locked_names(results, cells))
    tables["runs"].describe(
        {
            "carveout_revision": git_revision(),
            "moved_from_pins": ", ".join(lock.moved()) or "none",
            "packages": ", ".join(f"{p.name} {p.version}" for p in lock.packages()),
        }
    )


def _locked_names(results: Path, cells: Sequence[CellPath]) -> set[str]:
    """Return what the lock calls the packages that the trials were made with."""
    qemu = results / "qemu.json"
    name = load_sealed(qemu, "qemu")["qemu"] if qemu.exists() else ""
    kernels = {f"kernels.{cell.kernel}" for cell in cells}
    loads = {f"loads.{cell.scenario.partition('.')[0]}" for cell in cells}
    return {"guest", f"qemus.{name}"} | kernels | loads


def _pieces(results: Path, kind: str, cells: Sequence[CellPath]) -> Iterator[Piece]:
    """Cut the cells' files into pieces of about the same size, and yield these."""
    parts: list[Part] = []
    room = _PIECE_BYTES
    kernels = {cell.kernel: KernelFacts.read(results, cell.kernel) for cell in cells}
    for cell in cells:
        path = results / kind / f"{cell}.jsonl"
        first, size = 0, _size(path)
        while first < size:
            end = min(size, first + room)
            parts.append(Part(path, cell, kernels[cell.kernel], first, end))
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
    """Yield what all pieces hold, in their order; read no more ahead than there are processes."""
    processes = min(processes, len(pieces))
    if processes <= 1:
        yield from map(read_piece, pieces)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["carveout.tables.parquet"])
    waiting: deque[Future[Collected]] = deque()
    with ProcessPoolExecutor(processes, context, initializer=_begin_worker) as pool:
        for piece in pieces:
            waiting.append(pool.submit(read_piece, piece))
            if len(waiting) > processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _begin_worker() -> None:
    gc.disable()
    end_with_parent()


def read_piece(piece: Piece) -> Collected:
    """Return the checked rows of a piece."""
    tables: dict[str, list[pyarrow.Table]] = defaultdict(list)
    digests: dict[str, set[str]] = defaultdict(set)
    trials_run: Counter[tuple[str, CellPath]] = Counter()
    source = piece.parts[0].path
    try:
        for batch in _batches(piece, trials_run):
            for name, rows in _tables(batch, piece).items():
                tables[name].append(rows)
            for made_of in batch.digests():
                for name, digest in made_of.items():
                    digests[name].add(digest)
    except (KeyError, TypeError, AttributeError, pyarrow.ArrowException) as error:
        if len(piece.parts) > 1:
            for part in piece.parts:
                read_piece(Piece(piece.kind, [part]))  # raises an error that names the file
        raise CarveoutError(
            f"table {piece.kind} ({source}): wanted what this version's runner writes, found "
            f"{type(error).__name__}: {error}; remove the file to run its cell again"
        ) from error
    return Collected(
        {name: _stream(checked_piece(name, made, source)) for name, made in tables.items()},
        digests,
        trials_run,
    )


def _tables(batch: TrialRows | RunRows, piece: Piece) -> Tables:
    """Return a batch's rows; of trials that contradict themselves, the error names the file."""
    try:
        return batch.tables()
    except CarveoutError as error:
        if len(piece.parts) > 1:
            for part in piece.parts:
                read_piece(Piece(piece.kind, [part]))  # raises an error that names the file
        raise CarveoutError(
            f"{piece.parts[0].path}: {error}; remove the file to run its cell again"
        ) from error


def _batches(
    piece: Piece, trials_run: Counter[tuple[str, CellPath]]
) -> Iterator[TrialRows | RunRows]:
    """Yield the lines, some at a time; a batch may be of many small parts. Count trials."""
    rows_of = _ROWS[piece.kind]
    rows = rows_of()
    for part in piece.parts:
        machine = {
            "kernel": part.cell.kernel,
            "kernel_version": part.kernel.version,
            "kernel_pinned": part.kernel.pinned,
            "ram_bytes": part.cell.ram_bytes,
        }
        for line in _lines(part):
            if piece.kind == "trials":
                _check_trial(part, line)
            trials_run[piece.kind, part.cell] += _TELLS[piece.kind](line)
            rows.add({**machine, **line})
            if len(rows) == _BATCH_LINES:
                yield rows
                rows = rows_of()
    if len(rows):
        yield rows


def _check_trial(part: Part, trial: Object) -> None:
    """Refuse a trial of another format, or one that another kernel of the same name has made."""
    version = trial.get("records_version", 1)
    if version != RECORDS_VERSION:
        raise CarveoutError(
            f"{part.path}: wanted trials of records version {RECORDS_VERSION}, found {version}; "
            "CHANGELOG.md says what changed; remove the file to run its cell again"
        )
    found = trial["digests"]["kernel"]
    if found != part.kernel.image_sha256:
        raise CarveoutError(
            f"{part.path}: wanted trials on {part.cell.kernel} {part.kernel.version}, whose image "
            f"is {part.kernel.image_sha256[:12]}, found one on {found[:12]}; trials on different "
            "kernels never share a name: remove the file to run its cell again"
        )


def _lines(part: Part) -> Iterator[Object]:
    """Yield the objects of the lines that begin in a part."""
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
                yield read_line(line)
            except ValueError as error:
                raise CarveoutError(
                    f"{part.path}: wanted lines as the runner wrote them, found "
                    f"{line[:80]!r}: {error}; remove the file to run its cell again"
                ) from error


def _stream(rows: pyarrow.Table) -> bytes:
    # Every processor has a process already, and each thread would keep memory of its own.
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, rows.schema, options=options) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


def _table(stream: bytes) -> pyarrow.Table:
    options = pyarrow.ipc.IpcReadOptions(use_threads=False)
    return pyarrow.ipc.open_stream(stream, options=options).read_all()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.collection.collect", description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="the results folder")
    # The cells are given as products, which keeps the command line of a large matrix short.
    for name, example in {
        "machines": "kernel/ram",
        "variants": "strategy/variant",
        "scenarios": "load.requests.granule",
    }.items():
        parser.add_argument(f"--{name}", required=True, nargs="+", action="append", metavar=example)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


@entry_point
def main() -> None:
    """Collect the outputs of the boot jobs of a matrix."""
    # Parsed objects live for a short time and have no cycles; to look for cycles takes as long as
    # to parse. Only a process that does nothing else may do without.
    gc.disable()
    args = _arguments()
    cells = [
        CellPath.parse(f"{machine}/{variant}/{scenario}")
        for part in zip(args.machines, args.variants, args.scenarios, strict=True)
        for machine, variant, scenario in itertools.product(*part)
    ]
    collect(args.results, cells, args.processes)


if __name__ == "__main__":
    raise SystemExit(main())
