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
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from carveout.common import schemas
from carveout.common.errors import CarveoutError

_HOOKS = {"strategy": ("lend", "give_back"), "load": ("load",)}
_FILES = {"strategy": ("guest.sh", "rules.smk"), "load": ("guest.sh",)}
# What a strategy may give QEMU: memory, which has no way out of the guest. What is named first must
# not be named anew further on, nor a file be, and no memory is taken before the guest touches it.
_PROPERTIES = r"(?:,(?!(?:driver|qom-type|romfile|prealloc[a-z-]*)=)[a-z][a-z0-9_-]*=[\w.+-]+)*"
_QEMU_VALUES = {
    "-device": re.compile(
        rf"(?:virtio-mem-pci|virtio-balloon-pci|virtio-pmem-pci|pc-dimm|nvdimm){_PROPERTIES}"
    ),
    "-object": re.compile(rf"memory-backend-ram{_PROPERTIES}"),
    "-m": re.compile(r"(?:size=)?\d+[A-Za-z]*(?:,(?:maxmem|slots)=\d+[A-Za-z]*)*"),
}
# Of memory as QEMU reads it, in bytes if no letter follows.
_SIZE = re.compile(r"(\d{1,18})([BKMGTPE]?)")
# What has dtc read files.
_INCLUDES = re.compile(r"/include/|/incbin/|^\s*#\s*include", re.MULTILINE)
_RULE = re.compile(r"use rule boot_guest as boot_\w+ with:")
# What else is given would take the place of what `boot_guest` has: its files, and what it asks for.
_RULE_KEYS = ("wildcard_constraints", "threads", "priority")
# What a line of rules.smk may have at most; Python's parser has bounds of its own further on.
_MOST_CHARACTERS = 200
# What a template consists of: nothing that is called or repeated, so that it soon ends.
_OF_TEMPLATES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
    *(nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
)
_MOST_DEPTH = 40
_MOST_OF_TEMPLATE = 10_000  # characters
# A text before % that writes a number, in no more columns than a number has.
_FORMAT = re.compile(r"(?:[^%]|%%|%0?\d?\d?[dxX])*")


class _Templates(ImmutableSandboxedEnvironment):
    """Templates that compute sizes, reach nothing else of Python, and soon end."""

    intercepted_binops = frozenset({"*", "%"})

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Compute where a short template could ask for a text of any length."""
        if operator == "*" and (isinstance(left, str) or isinstance(right, str)):
            raise TypeError("wanted numbers around *, found a text")
        if isinstance(left, str) and not _FORMAT.fullmatch(left):
            raise TypeError(f"wanted %d or %x in the text before %, found {left!r}")
        return super().call_binop(context, operator, left, right)


_TEMPLATES = _Templates(undefined=jinja2.StrictUndefined, autoescape=False)
_TEMPLATES.globals.clear()  # what Jinja offers by itself is none of a template's names


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
        if len(template) > _MOST_OF_TEMPLATE:
            raise jinja2.TemplateError(
                f"wanted at most {_MOST_OF_TEMPLATE} characters, found {len(template)}"
            )
        _check_template(_TEMPLATES.parse(template))
        return _TEMPLATES.from_string(template).render(values)
    except (jinja2.TemplateError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
        shown, said = schemas.one_line(template), schemas.one_line(str(error))
        raise CarveoutError(
            f"{where}: the template {shown!r} cannot be filled: {said}; "
            f"known names are {', '.join(sorted(values))}"
        ) from error


def _check_template(node: nodes.Node, depth: int = 0) -> None:
    """Refuse a template that does more than compute."""
    if not isinstance(node, _OF_TEMPLATES):
        raise jinja2.TemplateError(
            "wanted names, numbers, texts, + - * / // %, comparisons and if, found "
            f"{type(node).__name__}"
        )
    if depth > _MOST_DEPTH:
        raise jinja2.TemplateError(f"wanted what is at most {_MOST_DEPTH} deep, found more")
    for inner in node.iter_child_nodes():
        _check_template(inner, depth + 1)


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
                "machine and allocates nothing ahead (docs/adding-a-strategy.md); found "
                f"{option} {value}"
            )
    if device_tree and (found := _INCLUDES.search(device_tree)):
        raise CarveoutError(
            f"{where}.device_tree: wanted source that is whole, found {found[0].strip()}, which "
            "reads files of the runner's machine; write what it has into strategy.yaml"
        )


def check_memory(qemu_args: Sequence[str], boot_ram_bytes: int, ram_bytes: int, where: str) -> None:
    """Refuse more memory than the machine's RAM, for which a job asks the runner's machine.

    Args:
        qemu_args: of a variant, which `check_confined` has let pass.
        boot_ram_bytes: what the guest boots with.
        ram_bytes: what the machine is to have in all.
        where: file and key, for errors.
    """
    pairs = zip(qemu_args[::2], qemu_args[1::2], strict=True)
    backed_bytes = sum(
        _size_bytes(size, where)
        for option, value in pairs
        if option == "-object"
        for size in re.findall(r",size=([^,]*)", value)
    )
    if boot_ram_bytes + backed_bytes > ram_bytes:
        raise CarveoutError(
            f"{where}: wanted RAM at boot (boot_ram_bytes) and memory of devices (-object in "
            f"qemu_args) that are the machine's RAM of {ram_bytes} bytes together, or less, found "
            f"{boot_ram_bytes} and {backed_bytes} bytes; let the one leave room for the other"
        )


def _size_bytes(text: str, where: str) -> int:
    found = _SIZE.fullmatch(text)
    if not found:
        raise CarveoutError(
            f"{where}.qemu_args: wanted a size in bytes, or with one of B, K, M, G, T, P, E after "
            f"a whole number, found size={schemas.one_line(text)}"
        )
    return int(found[1]) << 10 * "BKMGTPE".index(found[2] or "B")


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
        for line in schemas.load_text(path).splitlines()
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
    if len(text) > _MOST_CHARACTERS:
        return False
    try:
        call = ast.parse(f"f({text.strip()})", mode="eval").body
    except (ValueError, SyntaxError):
        return False
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return False
    return all(map(_is_plain, [*call.args, *(keyword.value for keyword in call.keywords)]))


def _is_plain(value: ast.expr) -> bool:
    """Return whether an expression is a number, which may have a sign, or a text."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value = value.operand
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float | str)


def _check_files(kind: str, folder: Path) -> None:
    for name in _FILES[kind]:
        if not (folder / name).is_file():
            raise CarveoutError(f"{folder}: wanted the file {name}, found none; see docs")


def _check_hooks(kind: str, script: Path) -> None:
    defined = re.findall(r"^\s*(\w+)\s*\(\)", schemas.load_text(script), re.MULTILINE)
    for hook in _HOOKS[kind]:
        if hook not in defined:
            raise CarveoutError(
                f"{script}: wanted a function {hook}(), found "
                f"{', '.join(defined) or 'no function'}; every {kind} defines "
                f"{' and '.join(_HOOKS[kind])}"
            )
