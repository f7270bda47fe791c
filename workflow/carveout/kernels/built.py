# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from Debian's source in the cache: same inputs, same bytes."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.archive.package import Package
from carveout.common.cache import cached_folder
from carveout.common.files import sha256_of_json
from carveout.common.processes import run_program
from carveout.kernels.build import BUILDING, Recipe, build, compiler_version
from carveout.kernels.linux_source import source_archive


@dataclass(frozen=True)
class BuiltKernel:
    """Where the files of a kernel come from that is built.

    Attributes:
        source: the package linux-source-*.
        config: the options that differ from the smallest kernel that there is, a line each.
        patches: what is changed in the source, by name, in this order.
    """

    source: Package
    config: str
    patches: Mapping[str, str]

    def root(self) -> Path:
        """Return the folder of the cache with its files, built now if the cache lacks them.

        Raises:
            CarveoutError: the config asks for what Kconfig does not grant, a patch does not apply,
                or the kernel does not build.
        """
        made_of = [BUILDING, self.source.sha256, self._recipe().options, compiler_version()]
        if self.patches:
            made_of.append(list(self.patches.items()))
        return cached_folder("built", sha256_of_json(made_of), self.build)

    @property
    def version(self) -> str:
        """The version of the source."""
        return self.source.version

    def to_json(self) -> Mapping[str, Any]:
        """Return what kernel.json says of it: all that it takes to build it again."""
        described = {"packages": [self.source.to_json()], "config": self.config}
        if self.patches:
            described["patches"] = [
                {"name": name, "content": content} for name, content in self.patches.items()
            ]
        return described

    def build(self, folder: Path) -> None:
        """Build the kernel from nothing into an empty folder, whatever the cache has."""
        with tempfile.TemporaryDirectory(prefix="carveout-kernel-") as name:
            tree = Path(name)
            with source_archive(self.source) as archive:
                unpack = ["tar", "--extract", "--strip-components=1", f"--directory={tree}"]
                run_program([*unpack, f"--file={archive}"], f"unpack {self.source}")
            build(tree, self._recipe(), folder)

    def _recipe(self) -> Recipe:
        return Recipe(str(self.source), config=self.config, patches=self.patches)
