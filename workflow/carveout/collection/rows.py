# SPDX-License-Identifier: GPL-2.0-only
"""From what the runner writes to rows: one per trial and cycle, one per census, one per guest.

Objects are parsed, read and dropped one by one, while a CPU's cache has them; then come columns.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from carveout.collection.in_the_way import blocker_columns
from carveout.collection.members import (
    PRESSURE_COLUMNS,
    VM_COLUMNS,
    WORK_COLUMNS,
    ZONE_COLUMNS,
    account_columns,
    cell_columns,
    free_columns,
    memmap_payer_columns,
    owner_columns,
    part_columns,
    pressure_columns,
    refusals_text,
    reuse_columns,
    vm_columns,
    with_clearing_apart,
    with_outcome,
    work_columns,
    zone_columns,
)
from carveout.common.errors import CarveoutError
from carveout.records.outcomes import CYCLE_PHASES, bad_pages, last_stage, request_outcomes
from carveout.tables.accounts import ACCOUNTS, GROUPS, column, total
from carveout.tables.definitions import ORDERS, TABLES
from carveout.tables.rules import LEND_PARTS, OWNER_COLUMNS, REUSE_COLUMNS
from carveout.tables.schema import COMPARABLE

Object = Mapping[str, Any]
Columns = Mapping[str, pyarrow.Array]
Tables = Mapping[str, pyarrow.Table]


class TrialRows:
    """The rows of trials: in ``trials`` one per request, and in ``phases`` one per census."""

    def __init__(self) -> None:
        self._trials = _Gathered(
            *("trial_id", "dose_target", "seed", "layout", "kernel_version", "kernel_pinned"),
            *(*_BOOT, "cause", "message", *_LAST),
        )
        self._records = {name: _Gathered(*members) for name, members in _RECORDS.items()}
        self._cells, self._digests, self._zones = _Repeated(), _Repeated(), _Repeated()

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: Object) -> None:
        """Add a trial as the runner writes it, with the kernel that it ran on."""
        number, cell = len(self), trial["cell"]
        records: dict[str, list[Object]] = defaultdict(list)
        for record in trial["records"]:
            records[record["record"]].append(record)
        about = {**_UNKNOWN, **trial, **trial["ending"]}
        about["dose_target"] = trial["dose_permille"] / 10
        for record in (*records["hello"], *records["load"]):
            about |= record
        if about["cause"] is not None:
            last = last_stage(records["stage"])
            about |= {"last_stage": last.stage, "last_cycle": last.cycle}
        records["census"] = [
            {
                **census,
                "census_tries": census["tries"],
                **account_columns(census["accounts"]),
                **free_columns(census, about["page_bytes"]),
            }
            for census in records["census"]
        ]
        records["lend"] = [
            {
                **lend,
                **part_columns(lend["costs"]),
                **work_columns(lend["work"]),
                "refusals": refusals_text(lend),
                **blocker_columns(lend, cell["granule"], about["page_bytes"], records["census"]),
            }
            for lend in records["lend"]
        ]
        records["give_back"] = [
            {**give_back, **pressure_columns(give_back["pressure"])}
            for give_back in records["give_back"]
        ]
        records["discards"] = [owner_columns(said) for said in records["discards"]]
        records["reuse"] = [reuse_columns(reuse) for reuse in records["reuse"]]
        records["vm"] = [vm_columns(vm) for vm in records["vm"]]
        records["verify"] = [
            {**verify, "verify_pages_bad": bad_pages(verify)} for verify in records["verify"]
        ]
        records["request"] = [
            {"cycle": cycle, "request_bytes": size, "outcome": of.outcome, "verify": of.verify}
            for cycle, (size, of) in enumerate(
                zip(cell["requests_bytes"], request_outcomes(trial), strict=True), start=1
            )
        ]
        self._trials.add(number, [about])
        for name, gathered in self._records.items():
            gathered.add(number, records[name])
        self._zones.add(census["zones"] for census in records["census"])
        self._cells.add([cell])
        self._digests.add([trial["digests"]])

    def digests(self) -> Sequence[Mapping[str, str]]:
        """Return the digests of what made the trials; equal neighbours are given once."""
        return self._digests.different

    def tables(self) -> Tables:
        """Return all rows, in the order of the trials."""
        trials = {**self._trials.columns(), **self._cells.columns(cell_columns)}
        censuses = {
            **self._records["census"].columns(),
            **self._zones.columns(zone_columns, ZONE_COLUMNS),
        }
        censuses |= {
            f"{name}_bytes": total(censuses, GROUPS[name], pc.add) for name in _NAMED_GROUPS
        }
        requests = self._records["request"].columns()
        sizes = _of_requests(censuses, {name: requests[name] for name in (*_PLACE, _SIZE)})[_SIZE]
        return {
            "trials": _table("trials", self._request_columns(trials, censuses)),
            "phases": _table(
                "phases",
                {**_of_trials(trials, censuses, (*_KEY, "page_bytes")), **censuses, _SIZE: sizes},
            ),
        }

    def _request_columns(self, trials: Columns, censuses: Columns) -> Columns:
        """Return the columns of the requests, null where nothing is known."""
        requests = self._records["request"].columns()
        requests = {**_of_trials(trials, requests, trials), **requests}
        lend, discards, verify, vm, give_back, reuse = (
            _of_requests(requests, self._records[name].columns())
            for name in ("lend", "discards", "verify", "vm", "give_back", "reuse")
        )
        before, lent, after = (
            _of_requests(requests, _of_phase(censuses, phase)) for phase in CYCLE_PHASES
        )
        _check_lent(requests, lend, lent)
        died = pc.equal(requests["cycle"], requests["last_cycle"])
        dead = pc.fill_null(pc.greater_equal(requests["cycle"], requests["last_cycle"]), False)
        last_stage = pc.if_else(died, requests["last_stage"], "earlier_cycle")
        nothing = pc.equal(pc.fill_null(lend["lent_bytes"], 0), 0)
        return {
            **with_clearing_apart(lend, verify),
            **{name: pc.if_else(nothing, None, reuse[name]) for name in REUSE_COLUMNS},
            **requests,
            "dose_achieved": requests["dose_achieved_percent"],
            "stage": pc.if_else(dead, last_stage, lend["stage"]),
            "cause": _where(dead, requests["cause"]),
            "message": _where(
                pc.or_(dead, pc.equal(requests["outcome"], "not_available")), requests["message"]
            ),
            **{
                name: pc.fill_null(lend[name], 0)
                for name in ("lent_bytes", "granted_bytes", "extents", "largest_extent_bytes")
            },
            "memmap_idle_bytes": before["memmap_bytes"],
            **{name: before[name] for name in _OF_BEFORE},
            "cma_used_bytes": before[column("cma_used")],
            "huge_pages_before": before["anonymous_huge_pages"],
            "huge_pages_lent": lent["anonymous_huge_pages"],
            "huge_pages_after": after["anonymous_huge_pages"],
            **memmap_payer_columns("memmap_idle", requests, before),
            **memmap_payer_columns("memmap", requests, lent),
            "linear_map_table_idle_bytes": before["linear_map_table_bytes"],
            **{name: lent[name] for name in _OF_LENT},
            "regained_bytes": pc.subtract(after["serving_bytes"], lent["serving_bytes"]),
            "kept_back_bytes": pc.subtract(before["serving_bytes"], after["serving_bytes"]),
            "verify_pages_checked": verify["pages_checked"],
            **{name: verify[name] for name in ("verify_pages_bad", "scribbled_bytes")},
            **{f"give_back_{name}": give_back[name] for name in ("refused_by", "reason", "errno")},
            **{
                name: give_back[name]
                for name in ("give_back_ns", "returned_bytes", *PRESSURE_COLUMNS)
            },
            **{name: discards[name] for name in OWNER_COLUMNS},
            **with_outcome(vm, requests, died),
        }


class RunRows:
    """The rows of guests: in ``runs`` one per guest, with what it took."""

    def __init__(self) -> None:
        self._runs = _Gathered(*_SCHEMAS["runs"].names)

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Object) -> None:
        """Add a guest as the runner writes it, with the machine that it was."""
        self._runs.add(len(self), [run])

    def digests(self) -> Sequence[Mapping[str, str]]:
        """Return nothing: the rows of trials say what made a trial."""
        return ()

    def tables(self) -> Tables:
        """Return all rows, in the order of the guests."""
        return {"runs": _table("runs", self._runs.columns())}


class _Gathered:
    """Members of many objects of trials, on their way to columns."""

    def __init__(self, *members: str) -> None:
        self._members = members
        self._values_of = itemgetter(*members)
        self._values: list[tuple[Any, ...]] = []
        self._trials: list[int] = []

    def __len__(self) -> int:
        return len(self._values)

    def add(self, trial: int, objects: Iterable[Object]) -> None:
        """Add objects that belong to the trial of this number."""
        self._values.extend(map(self._values_of, objects))
        self._trials.extend([trial] * (len(self) - len(self._trials)))

    def columns(self) -> Columns:
        """Return the objects' members as columns; the column ``trial`` says whose they are."""
        values = zip(*self._values, strict=True) if self._values else itertools.repeat(())
        members = dict(zip(self._members, values, strict=False)) | {"trial": self._trials}
        return {name: pyarrow.array(column, _type(name)) for name, column in members.items()}


class _Repeated:
    """Objects on their way to columns, most of which are the same as the one before."""

    def __init__(self) -> None:
        self.different: list[Any] = []
        self._places: list[int] = []

    def add(self, objects: Iterable[Any]) -> None:
        """Add the next objects."""
        for value in objects:
            if not self.different or value != self.different[-1]:
                self.different.append(value)
            self._places.append(len(self.different) - 1)

    def columns(
        self, row_of: Callable[[Any], Object], names: Iterable[str] | None = None
    ) -> Columns:
        """Return what a function says of each object, as columns.

        With names, these are the columns, null where the function says nothing of them.
        """
        rows = [row_of(value) for value in self.different]
        places = pyarrow.array(self._places, pyarrow.int64())
        return {
            name: pyarrow.array([row.get(name) for row in rows], _type(name)).take(places)
            for name in names or rows[0]
        }


_SCHEMAS = {name: TABLES[name].arrow_schema() for name in ("trials", "phases", "runs")}
_TYPES = {field.name: field.type for schema in _SCHEMAS.values() for field in schema} | {
    "dose_achieved_percent": pyarrow.float64(),
    "last_stage": pyarrow.string(),
    "vm_not_asked": pyarrow.string(),
}


def _type(member: str) -> pyarrow.DataType:
    """Return the type of a column; one that is in no table is a count."""
    return _TYPES.get(member, pyarrow.int64())


def _table(name: str, columns: Columns) -> pyarrow.Table:
    """Return a table of the columns in its schema; the others are left out."""
    schema = _SCHEMAS[name]
    return pyarrow.table([columns[column] for column in schema.names], schema=schema)


# Which trial a row is of.
_KEY = ("trial_id", *COMPARABLE, "strategy", "variant", "scenario", "dose_target", "seed")
# What a trial has only once: what booted, and the stage and cycle that a crash struck.
_BOOT = ("kernel_release", "page_bytes", "dose_achieved_percent", "physical_bytes")
_LAST = ("last_stage", "last_cycle")
_UNKNOWN: Object = dict.fromkeys((*_BOOT, *_LAST))
# The records of its cycles, with the members that columns are made of.
_RECORDS = {
    "request": ("cycle", "request_bytes", "outcome", "verify"),
    "census": (
        *(
            "cycle",
            "phase",
            "census_tries",
            "memmap_bytes",
            "memmap_lent_bytes",
            "memmap_counter_bytes",
        ),
        *("struct_page_bytes", "linear_map_table_bytes"),
        *("page_table_bytes", "mem_total_bytes", "mem_free_bytes", "mem_available_bytes"),
        *("anonymous_huge_pages", "blocked_pageblocks", "free_scattered_bytes"),
        *(f"free_order_{order}_blocks" for order in ORDERS),
        *("first_pfn", "pageblock_bytes", "pageblocks"),
        *map(column, ACCOUNTS),
    ),
    "lend": (
        *("cycle", "stage", "refused_by", "reason", "errno", "kernel_log", "attempts"),
        *("asked_bytes", "lent_bytes", "granted_bytes", "exhausted", "revocable_bytes"),
        *("extents", "largest_extent_bytes", "lend_ns"),
        *(f"lend_{part}_ns" for part in LEND_PARTS),
        *("content_ns", "cleared_pages", "pages_migrated"),
        *("huge_pages_migrated", "huge_pages_split"),
        *("pages_reclaimed", "pages_written", "oom_kills", "blocker", "explained"),
        "refusals",
        *WORK_COLUMNS,
    ),
    "verify": (
        *("cycle", "pages_checked", "verify_pages_bad", "zero_ns", "zero_pages"),
        "scribbled_bytes",
    ),
    "give_back": (
        *("cycle", "give_back_ns", "refused_by", "reason", "errno", "returned_bytes"),
        *PRESSURE_COLUMNS,
    ),
    "reuse": ("cycle", *REUSE_COLUMNS),
    "discards": ("cycle", *OWNER_COLUMNS),
    "vm": ("cycle", *VM_COLUMNS),
}


def _check_lent(requests: Columns, lend: Columns, lent: Columns) -> None:
    """Refuse a trial whose census says that less is lent than the lend took just before.

    What Linux may take back at any moment is none that it lacks.
    """
    taken_bytes = pc.subtract(lend["lent_bytes"], lend["revocable_bytes"])
    less = pc.fill_null(pc.less(lent["lent_out_bytes"], taken_bytes), False)
    if pc.any(less).as_py():
        row = pc.index(less, value=True).as_py()
        raise CarveoutError(
            f"trial {requests['trial_id'][row]}, cycle {requests['cycle'][row]}: wanted at least "
            f"the {taken_bytes[row]} bytes that were taken in lent + machine of the "
            f"census, found {lent['lent_out_bytes'][row]}"
        )


def _of_trials(trials: Columns, rows: Columns, names: Iterable[str]) -> Columns:
    """Return some columns of each row's trial."""
    return {name: trials[name].take(rows["trial"]) for name in names}


def _of_phase(censuses: Columns, phase: str) -> Columns:
    """Return those columns of the censuses of a phase that become columns of ``trials``."""
    wanted = pc.equal(censuses["phase"], phase)
    return {name: censuses[name].filter(wanted) for name in _IN_TRIALS}


# Columns of ``trials`` that are called as those of the census before the lend.
_OF_BEFORE = (
    *("stranded_bytes", "movable_only_bytes", "cma_area_bytes", "movable_zone_bytes"),
    *("blocked_pageblocks", "free_scattered_bytes"),
)
_OF_LENT = ("memmap_bytes", "memmap_lent_bytes", "linear_map_table_bytes")
# Not the memmap, which the census counts besides, wherever it lies.
_NAMED_GROUPS = tuple(name for name in GROUPS if name != "memmap")
_PLACE = ("trial", "cycle")
_SIZE = "request_bytes"
_IN_TRIALS = (
    *(*_PLACE, "memmap_bytes", "memmap_lent_bytes", column("cma_used")),
    *(column("memmap_host"), column("memmap_self"), "struct_page_bytes", "linear_map_table_bytes"),
    *("anonymous_huge_pages", "blocked_pageblocks", "free_scattered_bytes"),
    *(f"{name}_bytes" for name in _NAMED_GROUPS),
)


def _of_requests(requests: Columns, records: Columns) -> Columns:
    """Return each request's record, with nulls where there is none."""
    places = pc.index_in(_place(requests), _place(records))
    return {name: column.take(places) for name, column in records.items()}


def _place(rows: Columns) -> pyarrow.Array:
    """Return trial and cycle as one number."""
    return pc.add(pc.shift_left(rows["trial"], 32), rows["cycle"])


def _where(rows: pyarrow.Array, values: pyarrow.Array) -> pyarrow.Array:
    """Return the values of some rows, and null in the others."""
    return pc.if_else(rows, values, None)
