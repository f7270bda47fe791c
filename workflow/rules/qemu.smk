# SPDX-License-Identifier: GPL-2.0-only
# QEMU: the host's own, or a pinned one fetched and unpacked in the user's cache.
#
# What stays here is a small description. Boots take it as input, so that they are made anew when
# the version or the pins of their QEMU changed, and only then: what else qemus.yaml holds is no
# input.

from carveout.pins import read_qemus
from carveout.qemus import qemu_identity

QEMU_PINS = Path("config/qemus.yaml")
try:
    QEMUS = read_qemus(QEMU_PINS)
except CarveoutError as error:
    sys.exit(f"carveout: {error}")


rule find_qemu:
    output:
        "<results>/qemu.json",
    log:
        "<logs>/find_qemu.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        pins=QEMU_PINS,
        qemu=config["qemu"],
        # A function, because the program is asked: only when a boot depends on this.
        identity=lambda wildcards: qemu_identity(config["qemu"], QEMUS),
    shell:
        "python -m carveout.qemus --pins {params.pins:q} {params.qemu:q} {output:q} >{log:q}"
