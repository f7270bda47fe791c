# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of a host: sizes, one after another, and the question that they are to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carveout.common.errors import CarveoutError
from carveout.common.sizes import format_size, parse_size
from carveout.study.geometry import GRANULES

# How much is to be had, or whether one size is; what repeats take with them; what comes back when
# the host has little memory free, or none. Or nothing is lent: the host is counted as it stands.
CENSUS = "census"
_CAPACITY, _CYCLES = "capacity", "cycles"
QUESTIONS = (
    *(_CAPACITY, "request", _CYCLES, "return_under_pressure", "return_without_memory"),
    CENSUS,
)
_OF_CYCLES = ("times", "churn_steps")


@dataclass(frozen=True)
class Requests:
    """One list of requests of a config.

    Attributes:
        sizes_bytes: lent one after another by one host, each given back before the next; none where
            the question is a census.
        question: one of `QUESTIONS`.
        load_works: whether the load goes on while memory is lent.
        churn_steps: how many steps it goes on between two cycles.
    """

    sizes_bytes: tuple[int, ...]
    question: str
    load_works: bool
    churn_steps: int

    @property
    def needs_work(self) -> bool:
        """Whether only a load that can go on may be asked so."""
        return self.load_works or self.question == _CYCLES


def is_lend(wanted: Sequence[str] | Mapping[str, Any]) -> bool:
    """Return whether a list of requests, as a config has it, asks for anything."""
    return not isinstance(wanted, Mapping) or wanted.get("question") != CENSUS


def read_requests(
    wanted: Sequence[str] | Mapping[str, Any], where: str, lendable_bytes: int, least_bytes: int
) -> Requests:
    """Return the requests that a config asks for.

    Args:
        wanted: what the config's schema allows: a list of sizes, or an object with a question.
        where: file and key, for errors.
        lendable_bytes: what a strategy may set aside.
        least_bytes: of which every size is a multiple.

    Raises:
        CarveoutError: no host can be asked so.
    """
    asked: Mapping[str, Any] = wanted if isinstance(wanted, Mapping) else {"sizes": wanted}
    question = asked.get("question", _CAPACITY)
    if question == _CYCLES and "times" not in asked:
        raise CarveoutError(
            f"{where}: wanted the key times with the question {_CYCLES}, found none"
        )
    for key in _OF_CYCLES:
        if key in asked and question != _CYCLES:
            raise CarveoutError(
                f"{where}: wanted the key {key} with the question {_CYCLES} only, "
                f"found it with the question {question}"
            )
    sizes = [
        _size_bytes(text, where, lendable_bytes, least_bytes) for text in asked.get("sizes", ())
    ]
    return Requests(
        sizes_bytes=tuple(sizes * asked.get("times", 1)),
        question=question,
        load_works=asked.get("load_works", False),
        churn_steps=asked.get("churn_steps", 0),
    )


def check_granule(requests: Requests, granule: str, where: str, least_bytes: int) -> None:
    """Refuse requests that are no whole number of granules."""
    for size_bytes in requests.sizes_bytes:
        if size_bytes % (GRANULES[granule] or least_bytes):
            raise CarveoutError(
                f"{where}: wanted a multiple of the granule {granule} of the key granules, "
                f"found {format_size(size_bytes)}"
            )


def _size_bytes(text: str, where: str, lendable_bytes: int, least_bytes: int) -> int:
    size_bytes = parse_size(text, where)
    if size_bytes % least_bytes:
        raise CarveoutError(
            f"{where}: wanted a multiple of a pageblock of {format_size(least_bytes)}, found {text}"
        )
    if size_bytes > lendable_bytes:
        raise CarveoutError(
            f"{where}: wanted at most the lendable {format_size(lendable_bytes)}, found {text}; "
            "lower the request or raise the key lendable"
        )
    return size_bytes
