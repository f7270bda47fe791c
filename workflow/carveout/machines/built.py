# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from source in the cache: same source, config and compiler, same bytes.

A built kernel lies in its folder as unpacked packages of Debian would: Image, modules, headers.
"""

import os
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from carveout.archive.package import Package
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of_json
from carveout.common.processes import run_program
from carveout.machines.linux_source import source_archive

_BUILDING = 1  # goes up when the way of building changes, so that older folders are not used
_CROSS = "aarch64-linux-gnu-"
_ENVIRONMENT = {
    # Nothing of who builds where and when may reach the kernel.
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "carveout",
    "KBUILD_BUILD_HOST": "carveout",
    "KBUILD_BUILD_VERSION": "1",
    "MAKEFLAGS": "",
}


@dataclass(frozen=True)
class Recipe:
    """What a kernel is built from.

    Attributes:
        source: the package linux-source-*.
        config: the options that differ from the smallest kernel that there is, a line each.
    """

    source: Package
    config: str


def built(recipe: Recipe) -> Path:
    """Return the folder of the cache with a built kernel; build it now if the cache lacks it.

    Raises:
        CarveoutError: the config asks for what Kconfig does not grant, or the kernel does not
            build.
    """
    asked = [f"{_CROSS}gcc", "--version"]
    compiler = run_program(asked, "build a kernel").splitlines()[0]
    options = _options(recipe.config)
    digest = sha256_of_json([_BUILDING, recipe.source.sha256, options, compiler])
    return cached_folder("built", digest, lambda folder: _build(recipe, folder))


def _build(recipe: Recipe, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="carveout-kernel-") as name:
        tree = Path(name)
        with source_archive(recipe.source) as archive:
            unpack = ["tar", "--extract", "--strip-components=1", f"--directory={tree}"]
            run_program([*unpack, f"--file={archive}"], f"unpack {recipe.source}")
        _configure(tree, recipe)
        _make(tree, "Image", "modules", what=str(recipe.source))
        _install(tree, folder)


def _configure(tree: Path, recipe: Recipe) -> None:
    """Write .config, and see that it has all that is asked for: Kconfig drops what it must."""
    fragment = tree / "carveout.config"
    fragment.write_text("\n".join([*_options(recipe.config), ""]), encoding="utf-8")
    _make(tree, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig", what="a config")
    granted = set((tree / ".config").read_text(encoding="utf-8").splitlines())
    refused = [option for option in _options(recipe.config) if not _is_granted(option, granted)]
    if refused:
        raise CarveoutError(
            f"{recipe.source}: wanted {', '.join(refused)}, which Kconfig refuses: see in the "
            "source what it depends on, and put that into the fragment too"
        )


def _install(tree: Path, folder: Path) -> None:
    release = (tree / "include/config/kernel.release").read_text(encoding="utf-8").strip()
    shutil.copy(tree / "arch/arm64/boot/Image", folder / "Image")
    shutil.copy(tree / ".config", folder / "config")
    modules = folder / "usr/lib/modules" / release
    for module in sorted(tree.glob("**/*.ko")):
        installed = modules / "kernel" / module.relative_to(tree)
        installed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(module, installed)
    modules.mkdir(parents=True, exist_ok=True)
    shutil.copy(tree / "modules.builtin", modules)
    # The same compiler on both sides: or the script builds its programs anew, to run on arm64.
    names = {"srctree": ".", "SRCARCH": "arm64", "CC": "cc", "HOSTCC": "cc", "MAKE": "make"}
    headers = folder / "usr/src" / f"linux-headers-{release}"
    command = ["sh", "scripts/package/install-extmod-build", str(headers)]
    run_program(command, "take a kernel's headers", folder=tree, variables=names)


def _make(tree: Path, *words: str, what: str) -> None:
    jobs = len(os.sched_getaffinity(0))
    command = ["make", "--silent", f"--jobs={jobs}", "ARCH=arm64", f"CROSS_COMPILE={_CROSS}"]
    run_program([*command, *words], f"build {what}", folder=tree, variables=_ENVIRONMENT)


def _options(config: str) -> list[str]:
    """Return the options of a config, of each its last line."""
    lines = (line.strip() for line in config.splitlines())
    last = {line.partition("=")[0]: line for line in lines if line and not line.startswith("#")}
    return sorted(last.values())


def _is_granted(option: str, config: Collection[str]) -> bool:
    name, _, value = option.partition("=")
    if value == "n":
        return not any(line.startswith(f"{name}=") for line in config)
    return option in config
