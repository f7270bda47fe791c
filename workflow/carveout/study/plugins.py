# SPDX-License-Identifier: GPL-2.0-only
"""Strategies and loads: each one folder, found, read and checked before anything boots."""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from carveout.common import schemas
from carveout.common.errors import CarveoutError

_HOOKS = {"strategy": ("lend", "give_back"), "load": ("load",)}
_FILES = {"strategy": ("guest.sh", "rules.smk"), "load": ("guest.sh",)}
# What a strategy may give QEMU: memory, which has no way out of the guest. What is named first must
# not be named anew further on, nor a file be.
_PROPERTIES = r"(?:,(?!(?:driver|qom-type|romfile)=)[a-z][a-z0-9_-]*=[\w.+-]+)*"
_QEMU_VALUES = {
    "-device": re.compile(
        rf"(?:virtio-mem-pci|virtio-balloon-pci|virtio-pmem-pci|pc-dimm|nvdimm){_PROPERTIES}"
    ),
    "-object": re.compile(rf"memory-backend-ram{_PROPERTIES}"),
    "-m": re.compile(r"(?:size=)?\d+[A-Za-z]*(?:,(?:maxmem|slots)=\d+[A-Za-z]*)*"),
}
# What has dtc read files.
_INCLUDES = re.compile(r"/include/|/incbin/|^\s*#\s*include", re.MULTILINE)
_RULE = re.compile(r"use rule boot_guest as boot_\w+ with:")
# What else is given would take the place of what `boot_guest` has: its files, and what it asks for.
_RULE_KEYS = ("wildcard_constraints", "threads", "priority")
# A template computes, and reaches nothing else of Python.
_TEMPLATES = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


@dataclass(frozen=True)
class Plugin:
    """A strategy or a load: its name, its folder and what its YAML file says."""

    kind: str
    name: str
    folder: Path
    content: Mapping[str, Any]

    @property
    def description_file(self) -> Path:
        """The path of ``strategy.yaml`` or ``load.yaml``."""
        return self.folder / f"{self.kind}.yaml"


def find_plugins(kind: str, folders: Iterable[Path]) -> dict[str, Path]:
    """Return the folders of all strategies or loads, by name; two of one name are an error."""
    found: dict[str, Path] = {}
    for parent in folders:
        if not parent.is_dir():
            raise CarveoutError(
                f"{parent}: wanted a folder of {kind} folders, found none; "
                f"see the key {kind}_folders in the config"
            )
        for description in sorted(parent.glob(f"*/{kind}.yaml")):
            folder = description.parent
            if folder.name in found:
                raise CarveoutError(
                    f"{folder}: a {kind} named {folder.name} is already in "
                    f"{found[folder.name]}; rename one of the two folders"
                )
            found[folder.name] = folder
    return found


def read_plugin(kind: str, name: str, found: Mapping[str, Path], where: str) -> Plugin:
    """Read and check one plug-in; ``where`` names the file and key that asked for it."""
    if name not in found:
        raise CarveoutError(
            f"{where}: unknown {kind} {name}; known are {', '.join(sorted(found)) or 'none'}"
        )
    folder = found[name]
    content = schemas.load_yaml(folder / f"{kind}.yaml")
    schemas.check(content, kind, str(folder / f"{kind}.yaml"))
    _check_files(kind, folder)
    _check_links(kind, folder)
    _check_hooks(kind, folder / "guest.sh")
    if kind == "strategy":
        _check_rules(folder / "rules.smk")
    return Plugin(kind=kind, name=name, folder=folder, content=content)


def render(template: str, values: Mapping[str, Any], where: str) -> str:
    """Fill a Jinja template of a strategy; an unknown name is a one-line error."""
    try:
        return _TEMPLATES.from_string(template).render(values)
    except (jinja2.TemplateError, ArithmeticError, TypeError, ValueError) as error:
        raise CarveoutError(
            f"{where}: the template {template!r} cannot be filled: {error}; "
            f"known names are {', '.join(sorted(values))}"
        ) from error


def check_confined(qemu_args: Sequence[str], device_tree: str | None, where: str) -> None:
    """Refuse what would give a guest the network or files of the runner's machine.

    Args:
        qemu_args: of a variant, its templates filled.
        device_tree: likewise, source for dtc.
        where: file and key, for errors.
    """
    options, values = qemu_args[::2], qemu_args[1::2]
    for option, value in zip_longest(options, values, fillvalue=""):
        known = _QEMU_VALUES.get(option)
        if not known or not known.fullmatch(value):
            raise CarveoutError(
                f"{where}.qemu_args: wanted pairs of {', '.join(_QEMU_VALUES)} and a value: memory "
                "or a device of memory, that reaches neither network nor files of the runner's "
                f"machine (docs/adding-a-strategy.md); found {option} {value}"
            )
    if device_tree and (found := _INCLUDES.search(device_tree)):
        raise CarveoutError(
            f"{where}.device_tree: wanted source that is whole, found {found[0].strip()}, which "
            "reads files of the runner's machine; write what it has into strategy.yaml"
        )


def _check_links(kind: str, folder: Path) -> None:
    """Refuse what is no file of its own, of the checkout's or of a plug-in's beside it."""
    places = (folder.resolve().parent, Path.cwd().resolve())
    for path in sorted(folder.iterdir()):
        real = path.resolve()
        if not any(real.is_relative_to(place) for place in places) or not real.is_file():
            raise CarveoutError(
                f"{path}: wanted a file of this {kind}, or a link to one of the checkout or of a "
                f"{kind} beside it, found {'a link to ' if path.is_symlink() else ''}{real}"
            )


def _check_rules(path: Path) -> None:
    """Refuse rules that do more than give a strategy's boots a rule of their own.

    They are Python, which could do anything on the runner's machine: so values are literals, and
    what a boot runs and where it writes is `boot_guest`'s.
    """
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    is_rule = bool(lines) and _RULE.fullmatch(lines[0]) is not None
    for line in lines[1:]:
        key, _, value = line.strip().partition(":")
        if line[:4].isspace() and not line[4:5].isspace() and key in _RULE_KEYS:
            is_rule &= _is_literal(value)
        else:
            is_rule &= line[:8].isspace() and _is_literal(line)
    if not is_rule:
        raise CarveoutError(
            f"{path}: wanted one rule, 'use rule boot_guest as boot_NAME with:', with numbers and "
            f"texts for {', '.join(_RULE_KEYS)} alone, found something else; see "
            "docs/adding-a-strategy.md"
        )


def _is_literal(text: str) -> bool:
    """Return whether a line has nothing but numbers and texts, with names or without."""
    try:
        call = ast.parse(f"f({text.strip()})", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return False
        for value in [*call.args, *(keyword.value for keyword in call.keywords)]:
            ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return False
    return True


def _check_files(kind: str, folder: Path) -> None:
    for name in _FILES[kind]:
        if not (folder / name).is_file():
            raise CarveoutError(f"{folder}: wanted the file {name}, found none; see docs")


def _check_hooks(kind: str, script: Path) -> None:
    defined = re.findall(r"^\s*(\w+)\s*\(\)", script.read_text(encoding="utf-8"), re.MULTILINE)
    for hook in _HOOKS[kind]:
        if hook not in defined:
            raise CarveoutError(
                f"{script}: wanted a function {hook}(), found "
                f"{', '.join(defined) or 'no function'}; every {kind} defines "
                f"{' and '.join(_HOOKS[kind])}"
            )
