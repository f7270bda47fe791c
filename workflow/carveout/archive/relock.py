# SPDX-License-Identifier: GPL-2.0-only
"""Pin the newest of everything anew: ``python -m carveout.archive.relock``, or `make relock`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carveout.archive.debs import newest
from carveout.archive.pins import package_set, read_checked
from carveout.common.errors import entry_point
from carveout.common.files import write_atomically


def relock(path: Path, schema: str) -> list[str]:
    """Pin the newest version of every package of a file and return what changed.

    Kernels keep their series. Of the file's comments only the first is kept.

    Args:
        path: kernels.yaml or qemus.yaml.
        schema: `kernels` or `qemus`.
    """
    content = read_checked(path, schema)
    changes = []
    for key, section in _sections(content).items():
        old = package_set(section, f"{path}: {key}").packages
        new = dict(zip(old, newest(list(old.values())), strict=True))
        changes += [f"{old[r]} -> {new[r].version}" for r in old if old[r] != new[r]]
        section["packages"] = {
            role: {
                key: value
                for key, value in package.to_json().items()
                if key in ("name", "version", "architecture", "sha256")
            }
            for role, package in new.items()
        }
    # One line per package, however long.
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1000)
    write_atomically(path, _first_comment(path) + text)
    return changes


def _sections(content: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """Return all sections with packages, however deep, by their keys."""
    if "packages" in content:
        return {key: content}
    return {
        found: section
        for name, value in content.items()
        if isinstance(value, dict)
        for found, section in _sections(value, f"{key}.{name}".lstrip(".")).items()
    }


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    length = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "".join(lines[:length])


@entry_point
def main() -> None:
    """Pin the newest of everything and print what changed."""
    files = {name: Path(f"config/{name}.yaml") for name in ("kernels", "qemus")}
    changes = [change for name, path in files.items() for change in relock(path, name)]
    print("\n".join(changes or ["every pin is the newest"]))


if __name__ == "__main__":
    raise SystemExit(main())
