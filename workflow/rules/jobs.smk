# SPDX-License-Identifier: GPL-2.0-only
# The jobs into which the boots are divided: parts of large cells, batches of small ones.

from carveout.boots import progress
from carveout.boots.parts import Part, batches, parts_of

PROGRESS_FILE = f"{config['results']}/progress"
JOB_S = config["limits"]["job_s"]
BOOTS_EACH = config["boot"] == "cold"

PARTS = {
    path: parts_of(cell, JOB_S, boots_each=BOOTS_EACH) for path, cell in CELLS.items()
}
BATCHES = {
    str(cell.path): f"boots_{number}"
    for number, batch in enumerate(
        batches(
            [cell for path, cell in CELLS.items() if not PARTS[path]],
            JOB_S,
            boots_each=BOOTS_EACH,
        )
    )
    for cell in batch
}
snakemake_internals.name_groups(workflow, "boots", BATCHES.values())


def part_of(wildcards):
    """Return the part that a job makes, or None when it makes the whole cell."""
    return Part.parse(wildcards.part) if "part" in wildcards.keys() else None


def layouts_of(wildcards):
    """Return how many hosts a job boots."""
    part, cell = part_of(wildcards), cell_of(wildcards)
    return part.layouts_of(cell) if part else cell.layouts


def trials_of(wildcards):
    """Return how many trials a job makes, as far as it is known before any is made."""
    part, cell = part_of(wildcards), cell_of(wildcards)
    if part:
        return len(part.points_of(cell))
    return 0 if PARTS[str(cell.path)] else cell.planned_trials()


def begin_progress():
    """Start the progress of a run."""
    cells, parts = (
        snakemake_internals.jobs_to_run(workflow.dag, rule)
        for rule in ("boot_", "run_part")
    )
    split = [cell for cell in map(cell_of, cells) if PARTS[str(cell.path)]]
    progress.begin(
        Path(PROGRESS_FILE),
        list(map(cell_of, cells)),
        cores=snakemake_internals.cores_at_once(workflow),
        boots_each=BOOTS_EACH,
        made=sum(cell.planned_trials() for cell in split) - sum(map(trials_of, parts)),
    )
