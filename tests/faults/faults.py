# SPDX-License-Identifier: GPL-2.0-only
"""The faults to plant: what each is, where it goes, and the tests that must catch it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PLANTED = Path(__file__).parent / "planted"


class FaultError(Exception):
    """A fault that cannot be planted as the list says."""


@dataclass(frozen=True)
class Fault:
    """One wrong measurement.

    Attributes:
        name: what is wrong, in words.
        file: the file that it goes into, relative to the checkout.
        replace: text that stands there exactly once.
        by: what takes its place, indented like its first line.
        tests: arguments of pytest that choose the tests expected to catch it.
        narrow: keys of configs in the checkout that are set to run no more than these tests need.
        said: words of the error with which the run itself refuses it, where no test gets that far.
        test_added: whether no test caught it until one was written for it.
    """

    name: str
    file: Path
    replace: str
    by: str
    tests: tuple[str, ...]
    narrow: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    said: str | None = None
    test_added: bool = False

    def plant(self, checkout: Path) -> None:
        """Write the fault into a copy of the checkout."""
        path = checkout / self.file
        path.write_text(self.planted(path.read_text()))

    def planted(self, content: str) -> str:
        """Return the content with the fault in it; blank space around lines is no matter."""
        lines = (re.escape(line.strip()) for line in self.replace.splitlines())
        found = list(re.finditer(r"\n\s*".join(lines), content))
        if len(found) != 1:
            raise FaultError(
                f"{self.name}: wanted its text once in {self.file}, found it {len(found)} times; "
                f"mend the list in {PLANTED}"
            )
        (place,) = found
        before = content[: place.start()].rpartition("\n")[2]
        indent = before[: len(before) - len(before.lstrip())]
        planted = f"\n{indent}".join(self.by.splitlines())
        return content[: place.start()] + planted + content[place.end() :]


def read_faults(folder: Path = PLANTED) -> list[Fault]:
    """Return all faults of the list, file after file."""
    return [
        fault
        for path in sorted(folder.glob("*.yaml"))
        for fault in _faults_in(yaml.safe_load(path.read_text()))
    ]


def _faults_in(content: Mapping[str, Any]) -> Iterable[Fault]:
    """The file's faults; its `tests` and `narrow` are those of a fault without any of its own."""
    for entry in content["faults"]:
        whole = {"tests": content.get("tests"), "narrow": content.get("narrow", {})} | entry
        yield Fault(
            name=whole["name"],
            file=Path(whole["file"]),
            replace=whole["replace"],
            by=whole["by"],
            tests=tuple(whole["tests"]),
            narrow=whole["narrow"],
            said=whole.get("said"),
            test_added=whole.get("test_added", False),
        )


def narrow_configs(narrow: Mapping[str, Mapping[str, Any]], checkout: Path) -> None:
    """Set the keys in the copy's configs; whatever runs them finds less to do."""
    for name, keys in narrow.items():
        path = checkout / name
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | dict(keys)))
