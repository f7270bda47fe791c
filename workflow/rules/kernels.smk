# SPDX-License-Identifier: GPL-2.0-only
# The kernels: fetched and unpacked in the user's cache, which lies outside the checkout.
#
# What stays here is a small description without any path of the machine, equal on every machine:
# rules that need the kernel take it as input and find the cache by the digests in it.


rule unpack_kernel:
    input:
        pins="config/kernels.yaml",
        unpacker="workflow/carveout/kernels.py",
    output:
        "<results>/kernels/{kernel}/kernel.json",
    log:
        "<logs>/kernels/{kernel}/unpack_kernel.log",
    conda:
        CONDA_ENVIRONMENT
    shell:
        "python -m carveout.kernels --pins {input.pins:q}"
        " unpack {wildcards.kernel:q} {output:q} >{log:q}"
