# SPDX-License-Identifier: GPL-2.0-only
# Redrawing: claims, figures and report come from the tables that are there, without a boot.

import re

REDRAWING = {"claims", "figures", "report"}
# Those that boots make; the others are made of them.
COLLECTED = {"trials", "phases", "runs"}


def is_redrawn():
    """Return whether only a redraw is asked for, of the tables that are there.

    A single figure may be asked for, too, by the name of its file.
    """
    a_figure = re.compile(rf"{re.escape(config['results'])}/figures/\w+\.(svg|png)")
    targets = snakemake_internals.targets(workflow)
    return bool(targets) and all(
        name in REDRAWING or a_figure.fullmatch(name) for name in targets
    )


def is_taken(name):
    """Return whether a table is taken as it is.

    What is made of the trials is made anew where these are there, and need it.
    """
    folder = Path(config["results"]) / "tables"
    is_made = name not in COLLECTED and (folder / "trials.parquet").is_file()
    return is_redrawn() and (folder / f"{name}.parquet").is_file() and not is_made


def table(*names):
    """Return tables as a rule's input: made from boots, unless only a redraw is asked for.

    `snakemake claims`, `snakemake figures` and `snakemake report` take the tables that are there, a
    colleague's or those of another config. Flagged `before_update`, a file is taken as it is and
    what makes it is not looked for. Otherwise the digest of what boots made says whether it has changed:
    it is too large for Snakemake to compare it by content.
    """

    def as_asked(wildcards):
        paths = []
        for name in names:
            path = f"{config['results']}/tables/{name}.parquet"
            if is_taken(name):
                paths.append(before_update(path))
            else:
                paths.append(ancient(path) if name in COLLECTED else path)
        return paths if len(paths) > 1 else paths[0]

    return as_asked


def table_digests(*names):
    """Return the digests of what boots made as a rule's input; what is taken need not have any."""

    def as_asked(wildcards):
        folder = Path(config["results"]) / "tables"
        paths = []
        for name in sorted(COLLECTED & set(names)):
            digest = folder / f"{name}.sha256"
            if not is_taken(name):
                paths.append(str(digest))
            elif digest.is_file():
                paths.append(before_update(str(digest)))
        return paths

    return as_asked
