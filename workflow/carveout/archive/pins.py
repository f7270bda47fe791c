# SPDX-License-Identifier: GPL-2.0-only
"""kernels.yaml and qemus.yaml: the packages that an experiment depends on, and what they are.

A kernel is Debian's own, or it is built from a source package with fragments of a config, which lie
in the folder `kernels` beside kernels.yaml, as do patches of the source.
"""

from collections.abc import Mapping, Sequence
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
        kernels: by name: `image` with its `headers`, `headers_common` and `kbuild`, or `source`.
        page_bytes: the page size of each kernel, as the file states it.
        fragments: of each kernel that is built from source, the fragments of its config.
        patches: of each kernel whose source is patched, the patches.
        guest: what goes into every guest: `busybox`.
        qemus: by name: `program`.
    """

    kernels: Mapping[str, PackageSet]
    page_bytes: Mapping[str, int]
    fragments: Mapping[str, Sequence[Path]]
    patches: Mapping[str, Sequence[Path]]
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
            fragments={
                name: [kernels.parent / "kernels" / f"{part}.config" for part in kernel["config"]]
                for name, kernel in known.items()
                if "config" in kernel
            },
            patches={
                name: [kernels.parent / "kernels" / f"{patch}.patch" for patch in kernel["patches"]]
                for name, kernel in known.items()
                if "patches" in kernel
            },
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

    def built_with(self, name: str) -> str | None:
        """Return the config that a kernel is built with, or None for one that is not built."""
        if name not in self.fragments:
            return None
        return "".join(_read(path, name) for path in self.fragments[name])

    def patched_with(self, name: str) -> dict[str, str]:
        """Return what a kernel's source is patched with, by the patches' names, in their order."""
        return {path.stem: _read(path, name) for path in self.patches.get(name, ())}


def _read(path: Path, kernel: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CarveoutError(
            f"{error.filename}: wanted for kernel {kernel}: {error.strerror}"
        ) from error


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
