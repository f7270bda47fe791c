# SPDX-License-Identifier: GPL-2.0-only
"""kernels.yaml and qemus.yaml: the packages that an experiment depends on, and what they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.archive.package import Package, PackageSet
from carveout.common import schemas
from carveout.common.errors import CarveoutError


@dataclass(frozen=True)
class Pins:
    """All that is pinned.

    Attributes:
        kernels: by name: `image` with its `headers`, `headers_common` and `kbuild`.
        page_bytes: the page size of each kernel, as the file states it.
        guest: what goes into every guest: `busybox`.
        qemus: by name: `program`.
    """

    kernels: Mapping[str, PackageSet]
    page_bytes: Mapping[str, int]
    guest: PackageSet
    qemus: Mapping[str, PackageSet]

    @classmethod
    def read(cls, kernels: Path, qemus: Path) -> "Pins":
        """Return what the two files pin, each checked against its schema."""
        content = read_checked(kernels, "kernels")
        known = content["kernels"]
        return cls(
            kernels={
                name: package_set(kernel, f"{kernels}: kernels.{name}")
                for name, kernel in known.items()
            },
            page_bytes={name: kernel["page_bytes"] for name, kernel in known.items()},
            guest=package_set(content["guest"], f"{kernels}: guest"),
            qemus={
                name: package_set(qemu, f"{qemus}: {name}")
                for name, qemu in read_checked(qemus, "qemus").items()
            },
        )

    def kernel(self, name: str) -> PackageSet:
        """Return one kernel's packages."""
        if name not in self.kernels:
            raise CarveoutError(
                f"wanted a pinned kernel, found {name}; there are {', '.join(self.kernels)}"
            )
        return self.kernels[name]


def read_checked(path: Path, schema: str) -> dict[str, Any]:
    """Return a file of pins, checked against its schema."""
    content: dict[str, Any] = schemas.load_yaml(path)
    schemas.check(content, schema, str(path))
    return content


def package_set(section: Mapping[str, Any], where: str) -> PackageSet:
    """Return the packages of a section with `suites` and `packages`."""
    suites = tuple(section["suites"])
    return PackageSet(
        {
            role: Package(**pin, suites=suites, pin=f"{where}.packages.{role}")
            for role, pin in section["packages"].items()
        }
    )
