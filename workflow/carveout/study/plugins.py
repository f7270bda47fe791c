# SPDX-License-Identifier: GPL-2.0-only
"""Strategies and loads: each one folder, found, read and checked before anything boots."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from carveout.common import schemas
from carveout.common.errors import CarveoutError

_HOOKS = {"strategy": ("lend", "give_back"), "load": ("load",)}
_FILES = {"strategy": ("guest.sh", "rules.smk"), "load": ("guest.sh",)}
_TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)


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
    _check_hooks(kind, folder / "guest.sh")
    return Plugin(kind=kind, name=name, folder=folder, content=content)


def render(template: str, values: Mapping[str, Any], where: str) -> str:
    """Fill a Jinja template of a strategy; an unknown name is a one-line error."""
    try:
        return _TEMPLATES.from_string(template).render(values)
    except (jinja2.TemplateError, TypeError, ZeroDivisionError) as error:
        raise CarveoutError(
            f"{where}: the template {template!r} cannot be filled: {error}; "
            f"known names are {', '.join(sorted(values))}"
        ) from error


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
