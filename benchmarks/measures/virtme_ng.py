# SPDX-License-Identifier: GPL-2.0-only
"""Peer: virtme-ng boots the same kernel to a shell command, beside carveout's boot and fork.

virtme-ng comes from the Python package index into the cache, never into this project's lock. Its
guest needs a small arm64 root with bash and udev, which mmdebstrap unpacks without running any of
it, and the modules' index, which kmod makes. The table names what this machine lacks of these.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import BASELINE, IDLE, Bench, Job, seconds
from benchmarks.table import Row, not_run
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.processes import run_program
from carveout.kernels.kernel import unpacked_kernel

_VERSION = "1.42"
_PACKAGES = "bash,busybox-static,coreutils,grep,iproute2,kmod,mawk,mount,sed,udev,util-linux"
_SUITE = "bookworm"
_CASE = "virtme-ng: boot, one command, power off"
_GREETING = "the-guest-runs-commands"


def measure(bench: Bench) -> list[Row]:
    """Measure virtme-ng's boots, and carveout's boot and first fork, with the same RAM and CPUs."""
    rounds = 1 if bench.quick else 3
    job = bench.job("job", **BASELINE, loads=IDLE)
    job.build_images()
    (cell,) = job.cells
    wall_s: dict[str, list[float]] = {}
    cpu_s: dict[str, list[float]] = {}
    _, runs = job.run_cell(cell, seeds=rounds)
    boot = "carveout: boot until ready, state saved"
    wall_s[boot] = seconds(runs, "boot", "wall_ns")
    cpu_s[boot] = seconds(runs, "boot", "qemu_user_ns", "qemu_system_ns")
    wall_s["carveout: first fork until ready"] = seconds(runs, "trial", "ready_wall_ns")[:1]
    try:
        command, environment = _prepared(bench, job)
        costs = [bench.run("vng", ["env", *environment, *command]) for _ in range(rounds)]
        if _GREETING not in (bench.folder / "vng.log").read_text(errors="replace"):
            raise CarveoutError("virtme-ng ended, but its guest never ran the command")
    except (CarveoutError, OSError) as error:
        peer = [not_run("virtme_ng", "wall time", _CASE, error)]
        ratio_to = None
    else:
        wall_s = {_CASE: [cost.wall_s for cost in costs], **wall_s}
        cpu_s = {_CASE: [cost.cpu_s for cost in costs], **cpu_s}
        peer, ratio_to = [], _CASE
    return peer + [
        Row(
            *("virtme_ng", quantity, case, "s", samples),
            ratio_to=None if case == ratio_to else ratio_to,
        )
        for quantity, cases in (("wall time", wall_s), ("processor time", cpu_s))
        for case, samples in cases.items()
    ]


def _prepared(bench: Bench, job: Job) -> tuple[list[str], list[str]]:
    """Prepare all that virtme-ng needs; return the command of one boot and its environment."""
    (cell,) = job.cells
    kernel = unpacked_kernel(job.results / "kernels" / cell.kernel / "kernel.json")
    packages = cached_folder("virtme-ng", f"{_VERSION}-any-python", _install)
    tools = _kmod(bench.folder)
    root = bench.folder.absolute() / "root"
    _make_root(root)
    image = root / "boot" / f"vmlinuz-{kernel.release}"
    image.parent.mkdir(exist_ok=True)
    shutil.copyfile(kernel.image, image)
    modules = root / "lib/modules" / kernel.release
    shutil.copytree(kernel.modules, modules, symlinks=True)
    path = f"{tools}:{packages}/bin:{os.environ['PATH']}"
    _run([str(tools / "depmod"), "--basedir", str(root), kernel.release])
    command = [
        *(str(packages / "bin/vng"), "--run", str(image), "--arch", "arm64", "--root", str(root)),
        *("--user", "root", "--memory", f"{cell.ram_bytes // 2**20}M", "--cpus", str(cell.cpus)),
        # QEMU's own 9p: the other way is a daemon, virtiofsd, that is no part of QEMU.
        *("--force-9p", "--disable-monitor", "--exec", f"echo {_GREETING}"),
    ]
    return command, [f"PATH={path}", f"PYTHONPATH={packages}"]


def _install(folder: Path) -> None:
    _run(
        [
            *(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"),
            *("install", "--target", str(folder), f"virtme-ng=={_VERSION}"),
        ]
    )
    # The scripts name the Python of this environment, and the cache outlives it.
    for script in (folder / "bin").iterdir():
        first, rest = script.read_text(encoding="utf-8").split("\n", 1)
        if "python" in first:
            script.write_text(f"#!/usr/bin/env python3\n{rest}", encoding="utf-8")


def _make_root(root: Path) -> None:
    """Make a Debian root of arm64: only unpack its packages, and do here what they would set up."""
    if shutil.which("mmdebstrap") is None:
        raise CarveoutError("wanted mmdebstrap to make an arm64 root, found none in PATH")
    _run(
        [
            *("mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64"),
            *(f"--include={_PACKAGES}", _SUITE, str(root)),
        ]
    )
    (root / "bin/sh").symlink_to("bash")
    (root / "sbin/poweroff").symlink_to("../bin/busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n", encoding="utf-8")
    for name in ("etc/shadow", "etc/lvm", "opt", "srv"):  # virtme-ng mounts over them
        (root / name).mkdir(exist_ok=True)


def _kmod(folder: Path) -> Path:
    """Return a folder with depmod and modprobe: those of PATH, or of Debian's kmod, unpacked."""
    tools = folder.absolute() / "tools"
    tools.mkdir()
    libraries = ""
    program = shutil.which("kmod")
    if program is None:
        _run(["apt-get", "-qq", "download", "kmod", "libkmod2"], tools)
        for package in tools.glob("*.deb"):
            _run(["dpkg-deb", "--extract", str(package), str(tools / "root")])
        (kmod,) = tools.glob("root/**/bin/kmod")
        (library,) = tools.glob("root/**/libkmod.so.2")
        program, libraries = str(kmod), f"LD_LIBRARY_PATH='{library.parent}' "
    for name in ("depmod", "modprobe"):
        # kmod does what the name says that it is called by; only bash's exec can set that name.
        (tools / name).write_text(f"#!/bin/bash\n{libraries}exec -a {name} '{program}' \"$@\"\n")
        (tools / name).chmod(0o755)
    return tools


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    run_program(command, f"run {command[0]}", folder=folder)
