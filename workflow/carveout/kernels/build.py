# SPDX-License-Identifier: GPL-2.0-only
"""A kernel built in a tree of its own: same source, patches, config and compiler, same bytes.

A built kernel lies in its folder as unpacked packages of Debian would: Image, modules, headers.
"""

import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carveout.common.errors import CarveoutError
from carveout.common.processes import ProgramError, run_program
from carveout.kernels.parts import copy_headers

BUILDING = 1  # goes up when the way of building changes, so that older folders are not used
_CROSS = "aarch64-linux-gnu-"
_UNAPPLIED = re.compile("FAILED|can't find|previously applied|malformed|garbage")
_NOT_SET = re.compile(r"^# (CONFIG_\w+) is not set$")
_ENVIRONMENT = {
    # Nothing of who builds where and when may reach the kernel.
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "carveout",
    "KBUILD_BUILD_HOST": "carveout",
    "KBUILD_BUILD_VERSION": "1",
}


@dataclass(frozen=True)
class Recipe:
    """What is done to a source to make a kernel of it.

    Attributes:
        source: what the source is, for errors.
        config: options, a line each; of two of the same option the last counts.
        whole_config: a whole .config that `config` changes; without one, all that `config` does not
            name is as small as Kconfig allows.
        patches: what is changed in the source, by name, in this order.
    """

    source: str
    config: str
    whole_config: str = ""
    patches: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """The options of `config`, of each its last line, in the order of their names."""
        lines = (_NOT_SET.sub(r"\1=n", line.strip()) for line in self.config.splitlines())
        last = {line.partition("=")[0]: line for line in lines if line and not line.startswith("#")}
        return sorted(last.values())


def compiler_version() -> str:
    """Return what the compiler and the linker that build kernels say they are."""
    programs = (f"{_CROSS}{name}" for name in ("gcc", "ld"))
    said = [run_program([program, "--version"], "build a kernel") for program in programs]
    return ", ".join(version.splitlines()[0] for version in said)


def build(tree: Path, recipe: Recipe, folder: Path) -> None:
    """Build a kernel and put what is needed of it into a folder.

    Args:
        tree: the source, clean; it is changed.
        recipe: what is done to it.
        folder: gets Image, modules and headers.

    Raises:
        CarveoutError: a patch does not apply, the config asks for what Kconfig does not grant, or
            the kernel does not build.
    """
    for name, content in recipe.patches.items():
        _patch(tree, recipe.source, name, content)
    _configure(tree, recipe)
    _make(tree, "Image", "modules", what=recipe.source)
    _install(tree, folder)


def _patch(tree: Path, source: str, name: str, content: str) -> None:
    path = tree / f"carveout-{name}.patch"
    path.write_text(content, encoding="utf-8")
    # Where a patch does not fit exactly, what it would do is not what its author has seen.
    command = ["patch", "--strip=1", "--fuzz=0", "--batch", "--forward", "--reject-file=-"]
    purpose = f"patch {source} with {name}"
    try:
        run_program([*command, f"--input={path.name}"], purpose, folder=tree)
    except ProgramError as error:
        lines = error.said.splitlines()
        failed = next((n for n, line in enumerate(lines) if _UNAPPLIED.search(line)), -1)
        begun = [line for line in lines[:failed] if line.startswith("patching file")]
        raise CarveoutError(
            f"{source}: wanted it with the patch config/kernels/{name}.patch, which does not "
            f"apply: {' '.join([*begun[-1:], lines[failed]])}; make the patch anew for this source"
        ) from error
    path.unlink()


def _configure(tree: Path, recipe: Recipe) -> None:
    """Write .config, and see that it has all that is asked for: Kconfig drops what it must."""
    if recipe.whole_config:
        text = "\n".join([recipe.whole_config, *map(_as_kconfig, recipe.options), ""])
        (tree / ".config").write_text(text, encoding="utf-8")
        _make(tree, "olddefconfig", what=f"a config of {recipe.source}")
    else:
        fragment = tree / "carveout.config"
        fragment.write_text("\n".join([*recipe.options, ""]), encoding="utf-8")
        what = f"a config of {recipe.source}"
        _make(tree, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig", what=what)
    granted = set((tree / ".config").read_text(encoding="utf-8").splitlines())
    refused = [option for option in recipe.options if not _is_granted(option, granted)]
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
    headers = folder / "usr/src" / f"linux-headers-{release}"
    script = "scripts/package/install-extmod-build"
    if not (tree / script).exists():  # older kernels
        copy_headers(tree, headers)
        return
    # The same compiler on both sides: or the script builds its programs anew, to run on arm64.
    names = {"srctree": ".", "SRCARCH": "arm64", "CC": "cc", "HOSTCC": "cc", "MAKE": "make"}
    run_program(
        ["sh", script, str(headers)],
        "take a kernel's headers",
        folder=tree,
        variables=names,
        is_apart=True,
    )


def _make(tree: Path, *words: str, what: str) -> None:
    jobs = len(os.sched_getaffinity(0))
    command = ["make", "--silent", f"--jobs={jobs}", "ARCH=arm64", f"CROSS_COMPILE={_CROSS}"]
    purpose = f"build {what}"
    run_program([*command, *words], purpose, folder=tree, variables=_ENVIRONMENT, is_apart=True)


def _as_kconfig(option: str) -> str:
    """Return an option as a .config has it, where n is a comment."""
    name, _, value = option.partition("=")
    return f"# {name} is not set" if value == "n" else option


def _is_granted(option: str, config: Collection[str]) -> bool:
    name, _, value = option.partition("=")
    if value == "n":
        return not any(line.startswith(f"{name}=") for line in config)
    return option in config
