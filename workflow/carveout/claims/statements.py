# SPDX-License-Identifier: GPL-2.0-only
"""The literature: what is said, by whom, and how the tables can tell; and published figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.claims.check import Check, read_check
from carveout.common import schemas
from carveout.common.errors import CarveoutError

_SHOWN_LETTERS = 50
_STRATEGY = "strategy.yaml"


@dataclass(frozen=True)
class Statement:
    """One statement of a page.

    Attributes:
        page: the page's name: a strategy's, or a file's in `workflow/claims`.
        number: its place on the page, from 1.
        strategy: of whose rows it is, if it is on a strategy's page.
        says: the statement.
        source: who said it, and where and when.
        check: how the tables tell; None where they cannot.
        untestable: why they cannot.
    """

    page: str
    number: int
    strategy: str | None
    says: str
    source: str
    check: Check | None
    untestable: str | None


@dataclass(frozen=True)
class Page:
    """A page of statements."""

    name: str
    title: str
    statements: Sequence[Statement]


def read_pages(files: Iterable[Path]) -> list[Page]:
    """Return the pages that files have: strategies' `strategy.yaml`, and files of statements.

    Raises:
        CarveoutError: a statement that is none, or two pages of one name.
    """
    pages: dict[str, Page] = {}
    for path in files:
        page = _read_page(path)
        if page.name in pages:
            raise CarveoutError(
                f"{path}: a page named {page.name} is there already; rename the folder or the file"
            )
        pages[page.name] = page
    return list(pages.values())


def _read_page(path: Path) -> Page:
    content = schemas.load_yaml(path)
    is_strategy = path.name == _STRATEGY
    schemas.check(content, "strategy" if is_strategy else "statements", str(path))
    name = path.parent.name if is_strategy else path.stem
    statements = content.get("expects", []) if is_strategy else content["statements"]
    return Page(
        name=name,
        title=content["title"],
        statements=[
            _read_statement(statement, path, name, number, name if is_strategy else None)
            for number, statement in enumerate(statements, start=1)
        ],
    )


def _read_statement(
    content: Mapping[str, Any], path: Path, page: str, number: int, strategy: str | None
) -> Statement:
    says = " ".join(content["says"].split())
    where = f"{path}: statement {number} ({says[:_SHOWN_LETTERS]})"
    check = None if "check" not in content else read_check(content["check"], where)
    if strategy is None and check is not None:
        _check_names_of_variants(check, where)
    return Statement(
        page=page,
        number=number,
        strategy=strategy,
        says=says,
        source=" ".join(content["source"].split()),
        check=check,
        untestable=content.get("untestable"),
    )


def _check_names_of_variants(check: Check, where: str) -> None:
    """Refuse what names a variant and not its strategy: other strategies have some of that name."""
    selections = [check.rows, check.holds, *([check.against.rows] if check.against else [])]
    for selection in selections:
        if selection and "variant" in selection.names and "strategy" not in selection.names:
            raise CarveoutError(
                f"{where}: {selection.text!r}: wanted the strategy with the variant, since "
                "strategies have variants of one name"
            )


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
        claim: what was said.
        value: the figure.
        unit: of the value, as the schema has them.
        source: who published it, and where.
        figure: the name of the figure that marks it.
        where: beside which rows: the names of columns, and their values.
    """

    claim: str
    value: float
    unit: str
    source: str
    figure: str
    where: Mapping[str, str | float]


def read_published(path: Path, figure: str | None = None) -> list[Published]:
    """Return the published figures of a file, or those that one figure marks."""
    content = schemas.load_yaml(path)
    schemas.check(content, "published", str(path))
    found = [Published(**entry) for entry in content]
    return [entry for entry in found if figure in (None, entry.figure)]
