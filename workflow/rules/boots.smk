# SPDX-License-Identifier: GPL-2.0-only
# Boots: every cell is one job, which runs the cell's seeds and writes one line per trial.
#
# `boot_guest` itself matches no strategy: each strategy's rules.smk makes a rule of its own from it.
# Where a cell would take too long for one job, `run_part` makes its trials in several; then the cell's
# own job finds them in their journals. Where jobs run elsewhere, small cells share one.

from carveout.boots.parts import job_minutes
from carveout.guests.limits import job_disk_mb, job_memory_mb


include: "jobs.smk"


# One after another: the cells of a batch are as long as a job may be.
resource_scopes:
    cells_at_once="local",


if snakemake_internals.jobs_run_elsewhere(workflow):
    workflow.register_resource("cells_at_once", 1)


# What a host is made of.
HOST_FILES = {
    "qemu": "<results>/qemu.json",
    "kernel": "<results>/kernels/{kernel}/kernel.json",
    # Snakemake compares small files by content: an image has changed when its digest has.
    "images": [
        ancient("<results>/guest/{kernel}/base.cpio"),
        ancient("<results>/guest/{kernel}/strategies/{strategy}.cpio"),
        ancient("<results>/guest/{kernel}/loads/{load}.cpio"),
    ],
    "digests": [
        "<results>/guest/{kernel}/base.sha256",
        "<results>/guest/{kernel}/strategies/{strategy}.sha256",
        "<results>/guest/{kernel}/loads/{load}.sha256",
    ],
    "record_schema": "workflow/schemas/record.schema.yaml",
}
# What runs a cell, or a part of it.
RUNNER = {
    "code": code_digest("carveout.boots.cell_run"),
    "cell": lambda wildcards: cell_of(wildcards).to_json(),
    # A host that is only counted has one trial and may be large: no state of it is worth saving.
    "engine": lambda wildcards: config["boot"] if cell_of(wildcards).lends else "cold",
    "wall_limit_s": config["limits"]["wall_s"],
    "state_limit_bytes": MATRIX.state_limit_bytes,
    # Outlives the outputs: whatever is the reason to run a cell again, no trial that would come out
    # the same is made anew.
    "journal": f"{config['results']}/journals/{CELL_PATH}.jsonl",
    "progress": PROGRESS_FILE,
}
RUN = (
    "python -m carveout.boots.run --cell {params.cell:q} --qemu {input.qemu:q}"
    " --engine {params.engine} --wall-limit-s {params.wall_limit_s}"
    " --state-limit-bytes {params.state_limit_bytes} --at-once {threads}"
    " --kernel {input.kernel:q} --images {input.images:q}"
    " --code {params.code} --record-schema {input.record_schema:q}"
    " --journal {params.journal:q} --log {log:q} --progress {params.progress:q}"
)


# What a job takes. Memory and disk bound what runs side by side here; elsewhere a queue is asked for
# them, and for the time.
TAKES = {
    "mem_mb": lambda wildcards, threads: job_memory_mb(
        cell_of(wildcards).touched_bytes, threads * layouts_of(wildcards)
    ),
    "disk_mb": lambda wildcards, threads: (
        layouts_of(wildcards) * job_disk_mb(MATRIX.state_limit_bytes, threads)
        if cell_of(wildcards).lends
        else 0
    ),
    "runtime": lambda wildcards, attempt: job_minutes(
        cell_of(wildcards), trials_of(wildcards), attempt, boots_each=BOOTS_EACH
    ),
    "cells_at_once": 1,
}


rule boot_guest:
    input:
        **HOST_FILES,
        parts=lambda wildcards: [
            f"<results>/parts/{CELL_PATH}/{part}"
            for part in PARTS[CELL_PATH.format(**wildcards)]
        ],
    output:
        trials=f"<results>/trials/{CELL_PATH}.jsonl",
        runs=f"<results>/runs/{CELL_PATH}.jsonl",
    log:
        f"<logs>/boots/{CELL_PATH}.log",
    wildcard_constraints:
        strategy="(?!)",
    group:
        lambda wildcards: BATCHES.get(CELL_PATH.format(**wildcards))
    conda:
        CONDA_ENVIRONMENT
    threads: 1
    resources:
        **TAKES,
    params:
        **RUNNER,
        parts=lambda wildcards, input: len(input.parts),
    shell:
        RUN
        + " --parts {params.parts} --trials {output.trials:q} --runs {output.runs:q}"


rule run_part:
    input:
        **HOST_FILES,
    output:
        done=f"<results>/parts/{CELL_PATH}/{{part}}",
    log:
        f"<logs>/parts/{CELL_PATH}/{{part}}.log",
    wildcard_constraints:
        part="[0-9]+-of-[0-9]+",
    conda:
        CONDA_ENVIRONMENT
    threads: 1
    resources:
        **TAKES,
    params:
        **RUNNER,
    shell:
        RUN + " --part {wildcards.part} --done {output.done:q}"


onerror:
    if snakemake_internals.jobs_run_elsewhere(workflow):
        for error in progress.errors(Path(PROGRESS_FILE)):
            print(f"carveout: {error}", file=sys.stderr)
