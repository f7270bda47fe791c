# SPDX-License-Identifier: GPL-2.0-only
"""The two sides of a comparison: the tables of a run each, and which kernels are partners."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from carveout.common.errors import CarveoutError
from carveout.tables.parquet import read_metadata, read_table
from carveout.tables.schema import KERNEL_COLUMNS
from carveout.wording.labels import version_label


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: `before` or `after`.
        folder: as the user named it.
        tables: the folder of its tables.
        trials: the table `trials`.
        facts: what the files of its tables say of where they come from.
    """

    name: str
    folder: Path
    tables: Path
    trials: pd.DataFrame
    facts: Mapping[str, str]

    @classmethod
    def read(cls, name: str, folder: Path) -> "Side":
        """Return the side that a results folder, or a folder of tables, holds."""
        tables = tables_folder(name, folder)
        trials, runs = tables / "trials.parquet", tables / "runs.parquet"
        # A folder may have been given away without what the runs cost.
        facts = read_metadata(runs) if runs.is_file() else {}
        return cls(
            name=name,
            folder=folder,
            tables=tables,
            trials=read_table("trials", trials),
            facts=facts | read_metadata(trials),
        )

    @property
    def kernels(self) -> dict[str, str]:
        """The kernels by name, with their versions."""
        names = self.trials[list(KERNEL_COLUMNS)].drop_duplicates()
        return {
            kernel: version_label(version, pinned)
            for kernel, version, pinned in names.itertuples(index=False, name=None)
        }


def tables_folder(name: str, folder: Path) -> Path:
    """Return where the tables of a side are: in the folder, or in its folder `tables`.

    Raises:
        CarveoutError: there is no such folder, or no table of trials in it.
    """
    if not folder.is_dir():
        raise CarveoutError(
            f"{name}={folder}: wanted a results folder or a folder of tables, found no folder; "
            "relative paths begin where the command is run"
        )
    for tables in (folder / "tables", folder):
        if (tables / "trials.parquet").is_file():
            return tables
    raise CarveoutError(
        f"{name}={folder}: wanted trials.parquet in it or in its folder tables, found none; "
        "make the tables of the run first, with 'snakemake tables'"
    )


def check_differ(before: Path, after: Path) -> None:
    """Refuse to compare a folder of tables with itself."""
    if tables_folder("before", before).samefile(tables_folder("after", after)):
        raise CarveoutError(
            f"wanted two runs, found the same folder as before={before} and after={after}; "
            "a second run goes into a folder of its own by 'snakemake --config results=...'"
        )


def find_partners(
    before: Side, after: Side, wanted: Collection[tuple[str, str]] = ()
) -> set[tuple[str, str]]:
    """Return which kernels are held against each other, of `before` first.

    Those that the user names; else those of one name, and where one kernel is left on each side,
    these two.

    Raises:
        CarveoutError: a named kernel does not exist, or nobody can tell which are partners.
    """
    old, new = before.kernels, after.kernels
    for pair in wanted:
        for side, name in zip((before, after), pair, strict=True):
            if name not in side.kernels:
                raise CarveoutError(
                    f"partners={'/'.join(pair)}: wanted a kernel of {side.name}={side.folder}, "
                    f"found {name or 'no name'}; it has {', '.join(side.kernels)}"
                )
    if wanted:
        return set(wanted)
    same = {(name, name) for name in old if name in new}
    rest = [name for name in old if name not in new], [name for name in new if name not in old]
    if [len(names) for names in rest] == [1, 1]:
        return same | {(rest[0][0], rest[1][0])}
    if not same:
        raise CarveoutError(
            f"wanted kernels of one name in both runs, found {', '.join(old)} in {before.folder} "
            f"and {', '.join(new)} in {after.folder}; say partners=BEFORE/AFTER, several with "
            "commas between them"
        )
    return same
