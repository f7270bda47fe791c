# SPDX-License-Identifier: GPL-2.0-only
"""A results folder's lock.yaml: every package that it was really made with, and what was pinned."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from carveout.archive.package import Package, PackageSet
from carveout.common import schemas
from carveout.common.files import write_atomically

_COMMENT = """\
# The packages that these results were really made with; carveout writes this file, and keeps to it
# as long as they can be had. `pinned` is the version that config/*.yaml asked for, `tools` merely
# built or ran what is measured. Remove the file to follow the pins again.
"""


@dataclass(frozen=True)
class Entry:
    """What is used in place of some pins.

    Attributes:
        used: the packages.
        pinned: the version that was pinned.
        tools: packages that merely built or ran them.
    """

    used: PackageSet
    pinned: str
    tools: Sequence[Package] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the entry in the form that it has in the lock."""
        return {
            "pinned": self.pinned,
            "packages": {role: p.to_json() for role, p in self.used.packages.items()},
            "tools": [package.to_json() for package in self.tools],
        }


class Lock:
    """The entries of a lock, by what they are for.

    They are `guest`, `kernels.<name>`, `loads.<name>` and `qemus.<name>`.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = dict(entries)

    @classmethod
    def read(cls, path: Path) -> "Lock":
        """Return the lock in a file, checked against its schema; without a file, an empty lock."""
        if not path.exists():
            return cls({})
        content = schemas.load_yaml(path)
        schemas.check(content, "lock", str(path))
        return cls({key: _entry(entry, f"{path}: {key}") for key, entry in content.items()})

    def write(self, path: Path) -> None:
        """Write the lock to a file aside and rename it."""
        content = {key: entry.to_json() for key, entry in sorted(self.entries.items())}
        text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=1000)
        write_atomically(path, _COMMENT + text)

    def only(self, keys: Container[str]) -> "Lock":
        """Return the lock without what others of the same folder have used."""
        return Lock({key: entry for key, entry in self.entries.items() if key in keys})

    def packages(self) -> list[Package]:
        """Return all packages, tools too, each once."""
        packages = [
            package
            for _, entry in sorted(self.entries.items())
            for package in (*entry.used.packages.values(), *entry.tools)
        ]
        return list({package.sha256: package for package in packages}.values())

    def moved(self) -> list[str]:
        """Return the entries that are not as pinned: `kernels.debian-6.12: 6.12.1-1 -> 6.12.9-1`.

        The first version is the pin, the second what is used.
        """
        return [
            f"{key}: {entry.pinned} -> {entry.used.version}"
            for key, entry in sorted(self.entries.items())
            if entry.pinned != entry.used.version
        ]


def _entry(content: Mapping[str, Any], where: str) -> Entry:
    packages = {
        role: Package.from_json(package, f"{where}.packages.{role}")
        for role, package in content["packages"].items()
    }
    tools = [Package.from_json(tool, f"{where}.tools") for tool in content["tools"]]
    return Entry(PackageSet(packages), content["pinned"], tools)
