# SPDX-License-Identifier: GPL-2.0-only
# Boots: every cell is one job, which runs the cell's seeds and writes one line per trial.
#
# `boot_guest` itself matches no strategy: each strategy's rules.smk makes a rule of its own from it.

from carveout.boots import progress
from carveout.guests.limits import job_disk_mb, job_memory_mb

PROGRESS_FILE = f"{config['results']}/progress"


rule boot_guest:
    input:
        qemu="<results>/qemu.json",
        kernel="<results>/kernels/{kernel}/kernel.json",
        # Snakemake compares small files by content: an image has changed when its digest has.
        images=[
            ancient("<results>/guest/{kernel}/base.cpio"),
            ancient("<results>/guest/{kernel}/strategies/{strategy}.cpio"),
            ancient("<results>/guest/{kernel}/loads/{load}.cpio"),
        ],
        digests=[
            "<results>/guest/{kernel}/base.sha256",
            "<results>/guest/{kernel}/strategies/{strategy}.sha256",
            "<results>/guest/{kernel}/loads/{load}.sha256",
        ],
        record_schema="workflow/schemas/record.schema.yaml",
    output:
        trials=f"<results>/trials/{CELL_PATH}.jsonl",
        runs=f"<results>/runs/{CELL_PATH}.jsonl",
    log:
        f"<logs>/boots/{CELL_PATH}.log",
    wildcard_constraints:
        strategy="(?!)",
    conda:
        CONDA_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, threads: job_memory_mb(
            cell_of(wildcards).touched_bytes, threads * cell_of(wildcards).layouts
        ),
        disk_mb=lambda wildcards, threads: (
            cell_of(wildcards).layouts * job_disk_mb(MATRIX.state_limit_bytes, threads)
            if cell_of(wildcards).lends
            else 0
        ),
    params:
        code=code_digest("carveout.boots.cell_run"),
        cell=lambda wildcards: cell_of(wildcards).to_json(),
        # A host that is only counted has one trial and may be large: no state of it is worth saving.
        engine=lambda wildcards: config["boot"] if cell_of(wildcards).lends else "cold",
        wall_limit_s=config["limits"]["wall_s"],
        state_limit_bytes=MATRIX.state_limit_bytes,
        # Outlives the outputs: whatever is the reason to run a cell again, no trial that would come
        # out the same is made anew.
        journal=f"{config['results']}/journals/{CELL_PATH}.jsonl",
        progress=PROGRESS_FILE,
    shell:
        "python -m carveout.boots.run --cell {params.cell:q} --qemu {input.qemu:q}"
        " --engine {params.engine} --wall-limit-s {params.wall_limit_s}"
        " --state-limit-bytes {params.state_limit_bytes} --at-once {threads}"
        " --kernel {input.kernel:q} --images {input.images:q}"
        " --code {params.code} --record-schema {input.record_schema:q}"
        " --trials {output.trials:q} --runs {output.runs:q} --journal {params.journal:q}"
        " --log {log:q} --progress {params.progress:q}"
