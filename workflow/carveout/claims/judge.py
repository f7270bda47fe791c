# SPDX-License-Identifier: GPL-2.0-only
"""Judge statements of the literature, and who meets which need, by the tables alone."""

import argparse
import sys
from pathlib import Path

from carveout.claims.evidence import Evidence
from carveout.claims.needs import columns_needed, read_needs
from carveout.claims.qualify import judge_needs
from carveout.claims.statements import read_pages
from carveout.claims.verdicts import judge_pages
from carveout.common.errors import entry_point
from carveout.tables.parquet import read_metadata, write_table


@entry_point
def main() -> None:
    """Make the tables of claims and needs from the other tables."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.claims.judge", description=main.__doc__
    )
    parser.add_argument("--tables", type=Path, required=True, help="the folder of the tables")
    parser.add_argument("--pages", type=Path, nargs="+", required=True)
    parser.add_argument("--needed", type=Path, nargs="*", default=[], help="files of needs")
    parser.add_argument("--claims", type=Path, required=True)
    parser.add_argument("--needs", type=Path, required=True)
    wanted = parser.parse_args()
    pages, needs = read_pages(wanted.pages), read_needs(wanted.needed)
    evidence = Evidence(wanted.tables, columns_needed(pages, needs))
    metadata = read_metadata(wanted.tables / "trials.parquet")
    write_table("claims", judge_pages(pages, evidence), wanted.claims, metadata)
    write_table("needs", judge_needs(needs, evidence), wanted.needs, metadata)


if __name__ == "__main__":
    sys.exit(main())
