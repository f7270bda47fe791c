# SPDX-License-Identifier: GPL-2.0-only
# Redrawing: claims, figures and report come from the tables that are there, without a boot.

REDRAWING = {"claims", "figures", "report"}


def is_redrawn():
    """Return whether only a redraw is asked for, of the tables that are there."""
    targets = snakemake_internals.targets(workflow)
    return bool(targets) and targets <= REDRAWING


def table(name):
    """Return a table as a rule's input: made from boots, unless only a redraw is asked for.

    `snakemake claims`, `snakemake figures` and `snakemake report` take the tables that are there, a
    colleague's or those of another config. Flagged `before_update`, a file is taken as it is and its rule is not
    looked for. Otherwise the table's digest says whether it has changed: the table is too large
    for Snakemake to compare it by content.
    """

    def as_asked(wildcards):
        path = f"{config['results']}/tables/{name}.parquet"
        taken = is_redrawn() and Path(path).is_file()
        return before_update(path) if taken else ancient(path)

    return as_asked


def table_digests(*names):
    """Return the digests of tables as a rule's input; tables to be redrawn need not have any."""

    def as_asked(wildcards):
        tables = Path(config["results"]) / "tables"
        paths = []
        for name in names:
            digest = tables / f"{name}.sha256"
            if not (is_redrawn() and (tables / f"{name}.parquet").is_file()):
                paths.append(str(digest))
            elif digest.is_file():
                paths.append(before_update(str(digest)))
        return paths

    return as_asked
