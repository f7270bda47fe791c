# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from Debian's source in the cache: same inputs, same bytes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.archive.debs import fetch, unpack
from carveout.archive.package import Package
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder, sha256_of_json
from carveout.common.processes import run_program
from carveout.kernels.build import BUILDING, Recipe, build, compiler_version


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
        return cached_folder("built", sha256_of_json(made_of), self.build, is_large=True)

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
        with job_folder() as tree:
            self.unpack(tree)
            build(tree, self._recipe(), folder)

    def unpack(self, tree: Path) -> None:
        """Unpack the source, as Debian has it, into an empty folder."""
        with source_archive(self.source) as archive:
            command = ["tar", "--extract", "--strip-components=1", f"--directory={tree}"]
            run_program([*command, f"--file={archive}"], f"unpack {self.source}")

    def _recipe(self) -> Recipe:
        return Recipe(str(self.source), config=self.config, patches=self.patches)


@contextmanager
def source_archive(linux_source: Package) -> Iterator[Path]:
    """Yield the tar archive that is in a package linux-source-*."""
    (deb,) = fetch([linux_source])
    with job_folder() as folder:
        unpack([deb], folder)
        found = list(folder.glob("usr/src/linux-source-*.tar.*"))
        if len(found) != 1:
            raise CarveoutError(f"{linux_source}: wanted one archive in it, found {len(found)}")
        yield found[0]
