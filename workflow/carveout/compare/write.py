# SPDX-License-Identifier: GPL-2.0-only
"""Two runs compared: a table, a figure, a mail, and an exit status.

`python -m carveout.compare.write BEFORE AFTER --to FOLDER`; `docs/comparing.md` has the statuses.
"""

import argparse
import sys
from pathlib import Path

from carveout.common.errors import entry_point
from carveout.common.files import write_atomically
from carveout.compare import forest
from carveout.compare.comparison import Comparison, compare
from carveout.compare.mail import mail_text
from carveout.drawing import style
from carveout.statistics.pair import read_pairs
from carveout.tables.parquet import write_table
from carveout.wording.labels import Labels

TABLE = "changes.parquet"
TEXT = "changes.txt"
STATUS = "status"
OUTPUTS = (
    *(TABLE, "changes.csv", "changes.svg", "changes.png", TEXT),
    *("contradictions.csv", STATUS),
)


def write_comparison(found: Comparison, labels: Labels, to: Path, command: str) -> None:
    """Write all `OUTPUTS` into a folder."""
    facts = {
        f"{side.name}_{name}": value
        for side in (found.before, found.after)
        for name, value in side.facts.items()
        if name not in ("ARROW:schema", "tables_version")
    }
    write_table("changes", found.changes, to / TABLE, facts)
    figure = forest.draw(found.changes, labels)
    style.save(figure, forest.NAME, to / "changes.svg", to / "changes.png")
    write_atomically(to / TEXT, mail_text(found, labels, command))
    write_atomically(to / "contradictions.csv", found.contradictions.found.to_csv(index=False))
    write_atomically(to / STATUS, f"{found.status} {found.verdict}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m carveout.compare.write", description=__doc__ and __doc__.splitlines()[0]
    )
    parser.add_argument("before", type=Path, help="a results folder, or a folder of tables")
    parser.add_argument("after", type=Path, help="likewise")
    parser.add_argument("--to", type=Path, default=Path("results/compare"))
    parser.add_argument(
        "--partners", nargs="*", default=[], metavar="BEFORE/AFTER", help="kernels, by their names"
    )
    parser.add_argument(
        "--descriptions",
        type=Path,
        nargs="*",
        default=sorted(Path("workflow/strategies").glob("*/strategy.yaml")),
        help="the strategies' strategy.yaml files, in the order of the rows",
    )
    parser.add_argument(
        "--only-write", action="store_true", help="print nothing, and end with 0 whatever changed"
    )
    return parser.parse_args()


def main() -> int:
    """Compare two runs, and return the exit status."""
    status = 0

    @entry_point
    def run() -> None:
        nonlocal status
        wanted = _arguments()
        found = compare(wanted.before, wanted.after, read_pairs(wanted.partners))
        command = _command(wanted)
        write_comparison(found, Labels.read(wanted.descriptions), wanted.to, command)
        if not wanted.only_write:
            print((wanted.to / TEXT).read_text(encoding="utf-8"), end="")
            status = found.status

    return run() or status


def _command(wanted: argparse.Namespace) -> str:
    """Return the command that makes the same comparison."""
    partners = f" partners={','.join(wanted.partners)}" if wanted.partners else ""
    return (
        f"snakemake compare --config before='{wanted.before}' after='{wanted.after}'"
        f" to='{wanted.to}'{partners}"
    )


if __name__ == "__main__":
    sys.exit(main())
