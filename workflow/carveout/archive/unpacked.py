# SPDX-License-Identifier: GPL-2.0-only
"""Packages unpacked together in a folder of the cache, with what they need to run here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from carveout.archive.debs import GoneError, fetch, unpack
from carveout.archive.package import Package
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of_json, write_json_atomically
from carveout.common.schemas import load_made

_UNPACKING = 2  # goes up when the way of unpacking changes, so that older folders are not used
_TOOLS = ".carveout-tools.json"


@dataclass(frozen=True)
class Unpacked:
    """A folder of the cache; its path is never to be recorded."""

    root: Path

    def tools(self) -> list[Package]:
        """Return the packages that merely run or build here, and are no part of an experiment."""
        remedy = f"remove {self.root}, and the next run unpacks it anew"
        content = load_made(self.root / _TOOLS, "packages", remedy)
        return [Package.from_json(package) for package in content]


def unpacked_together(
    kind: str,
    packages: Sequence[Package],
    find_tools: Callable[[], Sequence[Package]],
    finish: Callable[[Path], None],
    *,
    is_large: bool = False,
) -> Unpacked:
    """Return packages unpacked over each other; unpack them now if the cache lacks them.

    Args:
        kind: of folder in the cache.
        packages: those that name the folder.
        find_tools: returns what else is unpacked there, of whatever version.
        finish: does what is left to do in the folder.
        is_large: as for `cached_folder`.
    """
    digest = sha256_of_json([_UNPACKING, sorted(package.sha256 for package in packages)])

    def fill(folder: Path) -> None:
        debs = fetch(packages)
        tools = find_tools()
        unpack([*fetch(tools), *debs], folder)
        write_json_atomically(folder / _TOOLS, [tool.to_json() for tool in tools])
        finish(folder)

    return Unpacked(cached_folder(kind, digest, fill, is_large=is_large))


def lost(error: GoneError, lock: Path) -> CarveoutError:
    """Return the error of results whose packages neither the cache nor the archive has."""
    return CarveoutError(
        f"{error}, and so is it from the cache; remove {lock}, and the next run takes what "
        "replaced it, for all trials"
    )
