# SPDX-License-Identifier: GPL-2.0-only
"""The report: one self-contained HTML page, and the summary as plain text.

Made from the tables and figures alone. `python -m carveout.report.write text` prints the summary.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from carveout.common.errors import entry_point
from carveout.common.files import write_atomically
from carveout.common.revision import git_revision
from carveout.common.schemas import load_yaml
from carveout.report.mail import summary_text
from carveout.report.page import page
from carveout.tables.parquet import read_metadata, read_table
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import Labels

# What is read of each table; of those that are not named, all.
_COLUMNS: Mapping[str, Sequence[str]] = {
    "trials": (
        *("trial_id", *COMPARABLE, "kernel_release", "page_bytes", "lendable_bytes", "cpus"),
        *("strategy", "variant", "load", "dose_target", "dose_achieved", "physical_bytes"),
        *("seed", "layout", "replication", "cycle", "request_bytes", "outcome", "granted_bytes"),
        *("lend_ns", "give_back_ns", "pages_migrated", "verify", "blocker"),
    ),
    "runs": ("process", "wall_ns", "qemu_version"),
}
TABLES = (
    *("trials", "runs", "variants", "summary", "failures", "curves", "changes"),
    *("comparisons", "blockers", "kernels", "claims", "needs"),
)


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables that the report is made of, by name."""
    return {
        name: read_table(name, folder / f"{name}.parquet", _COLUMNS.get(name)) for name in TABLES
    }


def read_titles(files: Sequence[Path]) -> dict[str, str]:
    """Return the titles of needs, by their places."""
    needs = sorted(((load_yaml(path), path) for path in files), key=lambda need: need[0]["place"])
    return {path.stem: str(content["title"]) for content, path in needs}


def how_to_reproduce(configs: Sequence[str], collected_by: str | None) -> dict[str, str]:
    """Return the code that made tables and page, and the command that does all of it again.

    Args:
        configs: the config files, in their order.
        collected_by: the revision that made the tables, which may be an older one; None where they
            do not say.
    """
    written_by = git_revision()
    code = {"Code": f"carveout {written_by}"}
    if collected_by not in (None, written_by):
        code = {
            "Code that measured": f"carveout {collected_by}",
            "Code that wrote this": f"carveout {written_by}",
        }
    return code | {"To repeat it": f"snakemake --configfile {' '.join(configs)}"}


@entry_point
def main() -> None:
    """Write the report and the summary, or print the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.report.write", description=main.__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    text = commands.add_parser("text", help="print the summary")
    write = commands.add_parser("write", help="write the report and the summary")
    for command in (text, write):
        command.add_argument("--tables", type=Path, default=Path("results/tables"))
        command.add_argument("--configs", nargs="+", default=["config/config.yaml"])
        command.add_argument(
            "--descriptions",
            type=Path,
            nargs="*",
            default=sorted(Path("workflow/strategies").glob("*/strategy.yaml")),
            help="the strategies' strategy.yaml files, in the order of the rows",
        )
        command.add_argument(
            "--needs",
            type=Path,
            nargs="*",
            default=sorted(Path("workflow/needs").glob("*.yaml")),
            help="the files of needs",
        )
    for name in ("figures", "captions"):
        write.add_argument(f"--{name}", type=Path, nargs="*", required=True)
    for name in ("template", "page", "text"):
        write.add_argument(f"--{name}", type=Path, required=True)
    wanted = parser.parse_args()
    tables, labels = read_tables(wanted.tables), Labels.read(wanted.descriptions)
    provenance = {
        key: value
        for name in ("trials", "runs")
        for key, value in read_metadata(wanted.tables / f"{name}.parquet").items()
    }
    # Said by itself, and not as one of many digests.
    collected_by = provenance.pop("carveout_revision", None)
    needs, reproduce = read_titles(wanted.needs), how_to_reproduce(wanted.configs, collected_by)
    summary = summary_text(tables, labels, needs, reproduce)
    if wanted.command == "text":
        print(summary, end="")
        return
    made = page(
        tables,
        labels,
        needs=needs,
        figures=list(zip(wanted.figures, wanted.captions, strict=True)),
        template=wanted.template,
        reproduce=reproduce,
        provenance=provenance,
    )
    write_atomically(wanted.page, made)
    write_atomically(wanted.text, summary)


if __name__ == "__main__":
    sys.exit(main())
