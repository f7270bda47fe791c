# SPDX-License-Identifier: GPL-2.0-only
# The bundle: one file with all that a rerun needs. No other rule takes it as input.

import json

from carveout.common.revision import git_revision


rule write_bundle:
    input:
        lock="<results>/lock.yaml",
        stamp="<results>/lock.sha256",
        qemu="<results>/qemu.json",
        kernels=expand("<results>/kernels/{kernel}/kernel.json", kernel=MATRIX.kernels),
        images=expand("<results>/guest/{kernel}/base.cpio", kernel=MATRIX.kernels),
        tool=GUEST_TOOL,
        headers=GUEST_HEADERS,
        requirements=["envs/requirements-build.txt", "envs/requirements.txt"],
        packages="envs/system-packages.txt",
    output:
        "<results>/bundle.tar",
    log:
        "<logs>/bundle/write_bundle.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.bundle.pack"),
        # What the checkout holds is part of it.
        revision=git_revision(),
        config=json.dumps(config),
    shell:
        "python -m carveout.bundle.pack --config {params.config:q} --lock {input.lock:q}"
        " --kernels {input.kernels:q} --tool {input.tool:q} --images {input.images:q}"
        " --include workflow/guest/include {output:q} >{log:q}"


rule bundle:
    input:
        rules.write_bundle.output,
