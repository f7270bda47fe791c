# SPDX-License-Identifier: GPL-2.0-only
"""What became of a trial's requests: the one place that says what a success is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A variant may be unable to give the granule, or the kernel to run it: then nothing was run. What
# the host could not carry beside what is set aside is no crash: the load was refused. Nor is a lend
# that killed it.
OUTCOMES = (
    *("granted", "partial", "refused", "not_available"),
    *("load_refused", "load_killed", "crashed"),
)
CAUSES = ("oom", "panic", "hang", "error", "books", "torn_records")
VERDICTS = ("ok", "failed", "not_checked")
# When a census is taken: before the load, once a trial; and in each cycle around the lend.
CYCLE_PHASES = ("before", "lent", "after")
PHASES = ("unloaded", *CYCLE_PHASES)

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of one request: one of `OUTCOMES`, and one of `VERDICTS` on what was lent."""

    outcome: str
    verify: str

    @property
    def is_success(self) -> bool:
        """Whether all that was asked for was granted and its verification did not fail."""
        return self.outcome == "granted" and self.verify != "failed"


@dataclass(frozen=True, slots=True)
class LastStage:
    """How far a guest came: the stage that it entered last, and the cycle of that stage."""

    stage: str
    cycle: int


def last_stage(stages: Sequence[Object]) -> LastStage:
    """Return the stage that a guest entered last; stages before the first cycle count as in it."""
    last: Object = stages[-1] if stages else {"stage": "boot"}
    return LastStage(last["stage"], max(last.get("cycle", 0), 1))


def was_run(trial: Object) -> bool:
    """Return whether a guest was run for a trial; if not, its variant or kernel cannot do it."""
    return bool(trial["records"]) or trial["ending"]["cause"] is not None


def request_outcomes(trial: Object) -> list[RequestOutcome]:
    """Return what became of each request of a trial, as the runner writes it, in their order."""
    by_kind: dict[str, dict[int, Object]] = {"lend": {}, "verify": {}, "lent": {}}
    page_bytes, stages = None, []
    for record in trial["records"]:
        kind = record["record"]
        if kind in ("lend", "verify"):
            by_kind[kind][record["cycle"]] = record
        elif kind == "census" and record["phase"] == "lent":
            by_kind["lent"][record["cycle"]] = record
        elif kind == "stage":
            stages.append(record)
        elif kind == "hello":
            page_bytes = record["page_bytes"]
    requests = range(1, len(trial["cell"]["requests_bytes"]) + 1)
    if not was_run(trial):
        return [RequestOutcome("not_available", "not_checked") for _ in requests]
    # Once the host is dead, later requests never reach it, and count as not served.
    last, cause = last_stage(stages), trial["ending"]["cause"]
    died_in = requests.stop if cause is None else last.cycle
    return [
        RequestOutcome(
            _death(cause, last) if cycle >= died_in else _lend_outcome(by_kind["lend"].get(cycle)),
            _verdict(page_bytes, *(by_kind[kind].get(cycle) for kind in by_kind)),
        )
        for cycle in requests
    ]


def _death(cause: str, last: LastStage) -> str:
    """Return what became of requests whose host died in its last stage."""
    if cause != "oom":
        return "crashed"
    return "load_refused" if last.stage == "load" else "load_killed"


def _lend_outcome(lend: Object | None) -> str:
    if lend is None:
        return "crashed"
    if lend["granted_bytes"] >= lend["request_bytes"]:
        return "granted"
    return "partial" if lend["granted_bytes"] > 0 else "refused"


def _verdict(
    page_bytes: int | None, lend: Object | None, verify: Object | None, lent: Object | None
) -> str:
    """Return the verdict on what was lent: whether all of it is really there and ours alone.

    Every lent page must hold its pattern, lie in no other lend and be free in no allocator. Linux
    cannot write to frames that it gave to the machine: the census must have them there instead.
    """
    if page_bytes is None or lend is None or verify is None or lent is None:
        return "not_checked"
    if bad_pages(verify):
        return "failed"
    if lend["lent_bytes"] == 0:
        return "not_checked"
    there_bytes = verify["pages_checked"] * page_bytes + lent["accounts"]["machine"]
    return "ok" if there_bytes >= lend["lent_bytes"] else "failed"


def bad_pages(verify: Object) -> int:
    """Return how many pages failed a verification, in whatever way."""
    count: int = verify["pages_bad"] + verify["pages_overlapping"] + verify["pages_free"]
    return count
