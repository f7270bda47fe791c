# SPDX-License-Identifier: GPL-2.0-only
# What comes from Debian's archive: kernels, the guest's busybox, and a QEMU that is not the host's own.
# All is fetched and unpacked in the user's cache, which lies outside the checkout.
#
# What stays here of a kernel or a QEMU is a small description without any path of the machine, equal
# on every machine: rules that need it take it as input and find the cache by the digests in it.

from carveout.archive.pins import read_qemus
from carveout.archive.emulators import qemu_identity

QEMU_PINS = Path("config/qemus.yaml")
try:
    QEMUS = read_qemus(QEMU_PINS)
except CarveoutError as error:
    sys.exit(f"carveout: {error}")


rule unpack_kernel:
    input:
        pins="config/kernels.yaml",
    output:
        "<results>/kernels/{kernel}/kernel.json",
    log:
        "<logs>/kernels/{kernel}/unpack_kernel.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.archive.kernels"),
    shell:
        "python -m carveout.archive.kernels --pins {input.pins:q}"
        " unpack {wildcards.kernel:q} {output:q} >{log:q}"


rule fetch_busybox:
    input:
        pins="config/kernels.yaml",
    output:
        "<results>/guest/busybox",
    log:
        "<logs>/guest/fetch_busybox.log",
    conda:
        CONDA_ENVIRONMENT
    shell:
        "python -m carveout.archive.kernels --pins {input.pins:q} busybox {output:q} >{log:q}"


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
        "python -m carveout.archive.emulators --pins {params.pins:q} {params.qemu:q} {output:q} >{log:q}"
