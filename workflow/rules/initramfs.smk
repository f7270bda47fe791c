# SPDX-License-Identifier: GPL-2.0-only
# The guest: the three archives that its initramfs consists of.
#
# All sources are plain relative inputs, which Snakemake compares by content.

GUEST_HEADERS = sorted(glob.glob("workflow/guest/include/*.h"))
GUEST_TOOL = sorted(glob.glob("workflow/guest/tools/*.[chS]"))


rule pack_base_image:
    input:
        kernel="<results>/kernels/{kernel}/kernel.json",
        init="workflow/guest/init",
        library=sorted(glob.glob("workflow/guest/lib/*.sh")),
        busybox="<results>/guest/busybox.json",
        tool=GUEST_TOOL,
        module=sorted(glob.glob("workflow/guest/module/*")),
        headers=GUEST_HEADERS,
    output:
        image="<results>/guest/{kernel}/base.cpio",
        digest="<results>/guest/{kernel}/base.sha256",
    log:
        "<logs>/guest/{kernel}/pack_base_image.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.initramfs.pack"),
    shell:
        "python -m carveout.initramfs.pack base --kernel {input.kernel:q} --init {input.init:q}"
        " --library {input.library:q} --busybox {input.busybox:q} --tool {input.tool:q}"
        " --module workflow/guest/module --include workflow/guest/include"
        " --output {output.image:q} --digest {output.digest:q} >{log:q}"


rule pack_strategy_overlay:
    input:
        kernel="<results>/kernels/{kernel}/kernel.json",
        sources=lambda wildcards: folder_sources(STRATEGY_FOLDERS[wildcards.strategy]),
        headers=GUEST_HEADERS,
        schema="workflow/schemas/strategy.schema.yaml",
    output:
        image="<results>/guest/{kernel}/strategies/{strategy}.cpio",
        digest="<results>/guest/{kernel}/strategies/{strategy}.sha256",
    log:
        "<logs>/guest/{kernel}/strategies/{strategy}.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.initramfs.pack"),
        folder=lambda wildcards: STRATEGY_FOLDERS[wildcards.strategy],
    shell:
        "python -m carveout.initramfs.pack overlay strategy --kernel {input.kernel:q}"
        " --folder {params.folder:q} --include workflow/guest/include --output {output.image:q} --digest {output.digest:q} >{log:q}"


rule pack_load_overlay:
    input:
        kernel="<results>/kernels/{kernel}/kernel.json",
        sources=lambda wildcards: folder_sources(LOAD_FOLDERS[wildcards.load]),
        headers=GUEST_HEADERS,
        packages=lambda wildcards: (
            "<results>/guest/loads/{load}.json"
            if wildcards.load in LOADS_WITH_PACKAGES
            else []
        ),
        schema="workflow/schemas/load.schema.yaml",
    output:
        image="<results>/guest/{kernel}/loads/{load}.cpio",
        digest="<results>/guest/{kernel}/loads/{load}.sha256",
    log:
        "<logs>/guest/{kernel}/loads/{load}.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.initramfs.pack"),
        folder=lambda wildcards: LOAD_FOLDERS[wildcards.load],
        packages=lambda wildcards, input: (
            ["--packages", input.packages] if input.packages else []
        ),
    shell:
        "python -m carveout.initramfs.pack overlay load --kernel {input.kernel:q}"
        " --folder {params.folder:q} --include workflow/guest/include {params.packages:q} --output {output.image:q} --digest {output.digest:q} >{log:q}"
