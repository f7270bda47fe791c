# SPDX-License-Identifier: GPL-2.0-only
"""What a package of Debian's archive is, and a set of packages that belong together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name: as in the archive.
        version: the exact Debian version.
        architecture: `all` or Debian's name of a CPU architecture.
        sha256: of the .deb file.
        suites: where it is looked for.
        pin: the file and key that ask for it, for messages; not part of what it is.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    suites: tuple[str, ...]
    pin: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f" ({self.pin})" if self.pin else "")

    def to_json(self) -> dict[str, Any]:
        """Return the package in the form that a file has, without its pin."""
        return {key: value for key, value in asdict(self).items() if key != "pin"} | {
            "suites": list(self.suites)
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], pin: str = "") -> "Package":
        """Return the package that `to_json` put into that form."""
        return cls(**{**content, "suites": tuple(content["suites"])}, pin=pin)


@dataclass(frozen=True)
class PackageSet:
    """Packages that belong together, by their roles: the first gives the set its version."""

    packages: Mapping[str, Package]

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites of the set, as its first package has them."""
        return next(iter(self.packages.values())).suites

    @property
    def version(self) -> str:
        """The version of the set, as its first package has it."""
        return next(iter(self.packages.values())).version
