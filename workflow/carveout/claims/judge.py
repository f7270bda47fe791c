# SPDX-License-Identifier: GPL-2.0-only
"""Judge statements of the literature, and who meets which need, by the tables alone."""

import argparse
import sys
from pathlib import Path

from carveout.claims.evidence import Evidence
from carveout.claims.statements import Page, read_pages
from carveout.claims.verdicts import judge_pages
from carveout.common.errors import entry_point
from carveout.tables.parquet import read_metadata, write_table


def columns_needed(pages: list[Page]) -> dict[str, set[str]]:
    """Return the columns that checks name, by their table."""
    needed: dict[str, set[str]] = {}
    for check in (statement.check for page in pages for statement in page.statements):
        if check is not None:
            needed[check.table] = needed.get(check.table, set()) | check.columns()
    return needed


@entry_point
def main() -> None:
    """Make the tables of claims and needs from the other tables."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.claims.judge", description=main.__doc__
    )
    parser.add_argument("--tables", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--pages", type=Path, nargs="+", required=True)
    parser.add_argument("--claims", type=Path, required=True)
    wanted = parser.parse_args()
    pages = read_pages(wanted.pages)
    evidence = Evidence(wanted.tables, columns_needed(pages))
    metadata = read_metadata(wanted.tables / "trials.parquet")
    write_table("claims", judge_pages(pages, evidence), wanted.claims, metadata)


if __name__ == "__main__":
    sys.exit(main())
