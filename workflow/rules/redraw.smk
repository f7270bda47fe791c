# SPDX-License-Identifier: GPL-2.0-only
# Redrawing: claims, figures and report come from the tables that are there, without a boot.

import re

from carveout.drawing.catalogue import CATALOGUE
from carveout.tables import seal

REDRAWING = {"claims", "figures", "report"}
# Those that boots make; the others are made of them.
COLLECTED = {"trials", "phases", "runs"}

# A table that was changed need not be read by what is left to do. Only the process that plans looks
# at all of them; jobs check what they read.
if workflow.is_main_process:
    try:
        seal.refuse_edited(Path(config["results"]) / "tables")
    except CarveoutError as error:
        sys.exit(f"carveout: {error}")


def named_figures():
    """Return the figures that are asked for by the names of their files."""
    a_figure = re.compile(rf"{re.escape(config['results'])}/figures/(\w+)\.(svg|png)")
    found = map(a_figure.fullmatch, snakemake_internals.words_of_the_command())
    return {match[0]: match[1] for match in found if match}


def is_drawn_alone():
    """Return whether figures are drawn one by one: this run asks for some, or is the job of one."""
    words = snakemake_internals.words_of_the_command()
    return bool(named_figures()) or any(
        re.fullmatch(r"draw_\w+:", word) and word[5:-1] in CATALOGUE for word in words
    )


def is_redrawn():
    """Return whether only a redraw is asked for, of the tables that are there."""
    targets = snakemake_internals.targets(workflow)
    return bool(targets) and targets <= REDRAWING | set(named_figures())


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
    its rule is not looked for. Otherwise the digest of what boots made says whether it has changed,
    since it is too large for Snakemake to compare it by content.
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
