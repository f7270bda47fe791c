# SPDX-License-Identifier: GPL-2.0-only
# Redrawing: figures and report come from the tables that are there, without a boot.

REDRAWING = {"figures", "report"}


def table(name):
    """A table of trials as a rule's input: made from boots, except when only a redraw is asked for.

    `snakemake figures` and `snakemake report` take the tables that are there, a colleague's or
    those of another config. Flagged `before_update`, a file is taken as it is and its rule is not
    looked for.
    """

    def as_asked(wildcards):
        path = f"{config['results']}/tables/{name}.parquet"
        targets = set(workflow.dag_settings.targets)
        redraws = bool(targets) and targets <= REDRAWING
        return before_update(path) if redraws and Path(path).is_file() else path

    return as_asked
