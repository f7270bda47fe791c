# SPDX-License-Identifier: GPL-2.0-only
"""Needs of those who lend memory: what each takes, one file a need."""

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.claims.check import Check, read_check
from carveout.claims.evidence import kinds_of
from carveout.claims.expressions import NUMBERS, TRUTHS, Expression, parse
from carveout.claims.statements import Page
from carveout.common import schemas
from carveout.common.errors import CarveoutError


@dataclass(frozen=True)
class Condition:
    """One thing that a variant has to give.

    Attributes:
        check: whether it does.
        broken: what is wrong with one that does not, in a few words.
        fails: what is said of one that does not, with columns of a row against it in braces.
        optional: whether it counts only where it was measured.
    """

    check: Check
    broken: str
    fails: str
    optional: bool


@dataclass(frozen=True)
class Measure:
    """By what those that qualify are ranked.

    Attributes:
        name: ends in its unit.
        title: for people.
        table: that it is of.
        rows: of which rows; of all if None.
        value: of a row.
        more_is_better: or less is.
    """

    name: str
    title: str
    table: str
    rows: Expression | None
    value: Expression
    more_is_better: bool

    def columns(self) -> set[str]:
        """Return the columns of the table that it needs."""
        return {*self.value.names, *(self.rows.names if self.rows else ())}


@dataclass(frozen=True)
class Need:
    """What somebody who lends memory needs.

    Attributes:
        name: its file's.
        place: among the needs, as people want to read of them.
        title: for people.
        description: likewise, a paragraph.
        granules: in pieces of which size; of any where there are none.
        conditions: what it takes.
        measure: by what those that give it are ranked.
    """

    name: str
    place: int
    title: str
    description: str
    granules: Sequence[str]
    conditions: Sequence[Condition]
    measure: Measure


def read_needs(files: Iterable[Path]) -> list[Need]:
    """Return the needs that files have, by their places.

    Raises:
        CarveoutError: one that is none, or two at one place.
    """
    needs: dict[int, Need] = {}
    for path in files:
        need = _read_need(path)
        if need.place in needs:
            raise CarveoutError(
                f"{path}: key place: {needs[need.place].name} is at place {need.place} already"
            )
        needs[need.place] = need
    return [needs[place] for place in sorted(needs)]


def _read_need(path: Path) -> Need:
    content = schemas.load_yaml(path)
    schemas.check(content, "need", str(path))
    return Need(
        name=path.stem,
        place=content["place"],
        title=content["title"],
        description=" ".join(content["description"].split()),
        granules=tuple(content.get("granules", ())),
        conditions=[
            _read_condition(condition, f"{path}: condition {number} ({condition['fails']})")
            for number, condition in enumerate(content["qualifies"], start=1)
        ],
        measure=_read_measure(content["measure"], f"{path}: key measure"),
    )


def _read_condition(content: Mapping[str, Any], where: str) -> Condition:
    fields = _fields(content["fails"], where)
    check = read_check(content["check"] | ({"shows": fields} if fields else {}), where)
    return Condition(check, content["broken"], content["fails"], content.get("optional", False))


def _fields(template: str, where: str) -> list[str]:
    """Return the columns that a template names; refuse all else that braces may hold."""
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise CarveoutError(f"{where}: key fails: {error}") from None
    for name, form, conversion in parts:
        if not str(name).isidentifier() or form or conversion:
            raise CarveoutError(f"{where}: key fails: wanted a column in braces, found {name!r}")
    return list(dict.fromkeys(str(name) for name, _, _ in parts))


def _read_measure(content: Mapping[str, Any], where: str) -> Measure:
    kinds = kinds_of(content["table"])
    rows = content.get("rows")
    return Measure(
        name=content["name"],
        title=content["title"],
        table=content["table"],
        rows=None if rows is None else parse(rows, kinds, TRUTHS, f"{where}.rows"),
        value=parse(content["value"], kinds, NUMBERS, f"{where}.value"),
        more_is_better=content.get("more_is_better", False),
    )


def columns_needed(pages: Sequence[Page], needs: Sequence[Need]) -> dict[str, set[str]]:
    """Return the columns that checks and measures name, by their table."""
    asked: list[Check | Measure | None] = [
        *(statement.check for page in pages for statement in page.statements),
        *(condition.check for need in needs for condition in need.conditions),
        *(need.measure for need in needs),
    ]
    columns: dict[str, set[str]] = {"trials": {"layout"}}
    for each in asked:
        if each is not None:
            columns[each.table] = columns.get(each.table, set()) | each.columns()
    return columns
