# SPDX-License-Identifier: GPL-2.0-only
# What machines are made of: kernels, the guest's busybox, a QEMU that is not the host's own, and the
# packages of programs that loads run.
#
# All but the user's own kernels is fetched and unpacked in the user's cache, which lies outside the checkout. What stays here is
# the lock, and a small description of each without any path of the machine: rules that need one take
# it as input and find the cache by the digests in it.

import re

from carveout.common.schemas import load_yaml
from carveout.kernels import own
from carveout.machines.emulators import host_qemu_version

PINS = ["config/kernels.yaml", "config/qemus.yaml"]
PIN_SCHEMAS = [
    f"workflow/schemas/{name}.schema.yaml" for name in ("kernels", "lock", "qemus")
]
try:
    OWN_KERNELS = own.read_own_kernels(
        config, ", ".join(CONFIG_FILES), load_yaml(Path(PINS[0]))["kernels"]
    )
except CarveoutError as error:
    sys.exit(f"carveout: {error}")
# A pattern: without such kernels one that matches nothing.
OWN_NAMES = "|".join(map(re.escape, OWN_KERNELS)) or "(?!)"


rule lock_packages:
    input:
        pins=PINS,
        loads=[f"{LOAD_FOLDERS[name]}/load.yaml" for name in LOADS_WITH_PACKAGES],
        schemas=PIN_SCHEMAS,
    output:
        # An existing lock is read: a results folder stays with the packages that made it. When the
        # job fails, Snakemake takes the old lock for good, but the stamp is gone then.
        lock=update("<results>/lock.yaml"),
        stamp="<results>/lock.sha256",
    log:
        "<logs>/machines/lock_packages.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.machines.lock"),
        names=[name for name in MATRIX.kernels if name not in OWN_KERNELS],
        qemu=config["qemu"],
        exact="--exact" if config["exact_pins"] else "",
    shell:
        "python -m carveout.machines.lock --pins config --kernels {params.names:q}"
        " --loads {input.loads:q}"
        " --qemu {params.qemu:q} {params.exact} {output.lock:q} {output.stamp:q} >{log:q}"


# A kernel that is named with a config is built, which takes minutes and all CPUs that it may have.
rule take_kernel:
    input:
        pins=PINS,
        fragments=sorted(glob.glob("config/kernels/*.config")),
        patches=sorted(glob.glob("config/kernels/*.patch")),
        lock="<results>/lock.yaml",
        stamp="<results>/lock.sha256",
        schemas=PIN_SCHEMAS,
    output:
        "<results>/kernels/{kernel}/kernel.json",
    log:
        "<logs>/machines/{kernel}/take_kernel.log",
    wildcard_constraints:
        kernel=f"(?!({OWN_NAMES})/)[^/]+",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.machines.take"),
    shell:
        "python -m carveout.machines.take --pins config --lock {input.lock:q}"
        " kernel {wildcards.kernel:q} {output:q} >{log:q}"


# What of a user's own kernel counts is what it holds: its digest is read whenever this may be run,
# and where it lies is no part of any output.
rule take_own_kernel:
    input:
        schema="workflow/schemas/config.schema.yaml",
    output:
        "<results>/kernels/{kernel}/kernel.json",
    log:
        "<logs>/machines/{kernel}/take_kernel.log",
    wildcard_constraints:
        kernel=OWN_NAMES,
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.machines.take"),
        kernel=lambda wildcards: own.to_words(OWN_KERNELS[wildcards.kernel]),
        digest=lambda wildcards: own.current_digest(OWN_KERNELS[wildcards.kernel]),
    shell:
        "python -m carveout.machines.take own-kernel {wildcards.kernel:q} {output:q}"
        " {params.kernel:q} {params.digest} >{log:q}"


rule take_busybox:
    input:
        pins=PINS,
        lock="<results>/lock.yaml",
        stamp="<results>/lock.sha256",
        schemas=PIN_SCHEMAS,
    output:
        "<results>/guest/busybox.json",
    log:
        "<logs>/machines/take_busybox.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.machines.take"),
    shell:
        "python -m carveout.machines.take --pins config --lock {input.lock:q}"
        " busybox {output:q} >{log:q}"


rule take_load:
    input:
        pins=PINS,
        lock="<results>/lock.yaml",
        stamp="<results>/lock.sha256",
        schemas=PIN_SCHEMAS,
    output:
        "<results>/guest/loads/{load}.json",
    log:
        "<logs>/machines/take_load_{load}.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.machines.take"),
    shell:
        "python -m carveout.machines.take --pins config --lock {input.lock:q}"
        " load {wildcards.load:q} {output:q} >{log:q}"


rule take_qemu:
    input:
        pins=PINS,
        lock="<results>/lock.yaml",
        stamp="<results>/lock.sha256",
        schemas=PIN_SCHEMAS,
    output:
        "<results>/qemu.json",
    log:
        "<logs>/machines/take_qemu.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.machines.take"),
        qemu=config["qemu"],
        # A function, so that the program is asked for its version only when a boot depends on
        # this. The host's own QEMU may be replaced at any time.
        version=lambda wildcards: host_qemu_version(config["qemu"]),
    shell:
        "python -m carveout.machines.take --pins config --lock {input.lock:q}"
        " qemu {params.qemu:q} {output:q} >{log:q}"
