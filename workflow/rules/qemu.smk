# SPDX-License-Identifier: GPL-2.0-only
# QEMU: the host's own, or a pinned one fetched and unpacked in the user's cache.
#
# What stays here is a small description. Boots take it as input: another version reruns them.

from carveout.qemus import version_in_path

QEMU_PINS = "config/qemus.yaml"


rule find_qemu:
    input:
        pins=QEMU_PINS,
        finder="workflow/carveout/qemus.py",
    output:
        "<results>/qemu.json",
    log:
        "<logs>/find_qemu.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        qemu=config["qemu"],
        # Asked only when boots are; the pins say all of another one.
        version=lambda wildcards: version_in_path(config["qemu"], Path(QEMU_PINS)),
    shell:
        "python -m carveout.qemus --pins {input.pins:q} {params.qemu:q} {output:q} >{log:q}"
