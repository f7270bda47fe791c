# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of the user's own, which lie outside the checkout: key `own_kernels` of a config.

No path of theirs gets into results. What is made of them is found in the cache by a digest of what
they hold, which tells when they have changed, too.
"""

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carveout.common.cache import cache_folder
from carveout.common.errors import CarveoutError
from carveout.kernels.own_image import OwnImage
from carveout.kernels.own_tree import OwnTree

_FRAGMENTS = Path("config/kernels")

OwnKernel = OwnTree | OwnImage


@dataclass(frozen=True)
class TakenKernel:
    """Where the files of a user's own kernel come from: the cache alone.

    Attributes:
        name: as the config has it.
        taken: what kernel.json says of it: `kind` and `digest`.
        description: that file.
    """

    name: str
    taken: Mapping[str, str]
    description: Path

    def root(self) -> Path:
        """Return the folder of the cache with its files.

        Raises:
            CarveoutError: the cache has lost it. Only the config says where it came from.
        """
        folder = cache_folder("own") / self.taken["digest"]
        if not folder.is_dir():
            raise CarveoutError(
                f"{self.description}: wanted the kernel {self.name} of own_kernels with digest "
                f"{self.taken['digest'][:12]} in the cache, found none; remove that file, and the "
                "next run takes the kernel anew from where its config says"
            )
        return folder

    @property
    def version(self) -> str:
        """Its kind and the beginning of its digest."""
        return f"{self.taken['kind']}-{self.taken['digest'][:12]}"

    def to_json(self) -> Mapping[str, Any]:
        """Return what kernel.json says of it, without any path of this machine."""
        return {"packages": [], "own": dict(self.taken)}


def read_own_kernels(
    config: Mapping[str, Any], source: str, pinned: Collection[str]
) -> dict[str, OwnKernel]:
    """Return the kernels of the key `own_kernels`, by name; nothing of them is read yet.

    Args:
        config: the checked config.
        source: its file name, for errors.
        pinned: names of kernels that are none of the user's.

    Raises:
        CarveoutError: a name is taken.
    """
    found: dict[str, OwnKernel] = {}
    for name, entry in config["own_kernels"].items():
        where = f"{source}: key own_kernels.{name}"
        if name in pinned:
            raise CarveoutError(
                f"{where}: wanted a name of its own, found one of config/kernels.yaml; "
                "give the kernel another"
            )
        if "tree" in entry:
            parts = tuple(_config_path(word) for word in entry["config"])
            found[name] = OwnTree(where, entry["page_bytes"], _path(entry["tree"]), parts)
        else:
            paths = (_path(entry[key]) for key in ("image", "modules", "headers"))
            found[name] = OwnImage(where, entry["page_bytes"], *paths)
    return found


def current_digest(kernel: OwnKernel) -> str:
    """Return the digest of what a kernel holds now; one that is none ends the process.

    It does so with one line, which Snakemake would bury in an account of its own.
    """
    try:
        return kernel.content_digest
    except CarveoutError as error:
        sys.exit(f"carveout: {error}")


def to_words(kernel: OwnKernel) -> str:
    """Return a kernel as one word of a command line, from which `from_words` makes it again."""
    return json.dumps(asdict(kernel), default=str)


def from_words(words: str) -> OwnKernel:
    """Return the kernel of `to_words`."""
    content = json.loads(words)
    about = content["where"], content["page_bytes"]
    if "tree" in content:
        return OwnTree(*about, Path(content["tree"]), tuple(map(Path, content["config"])))
    return OwnImage(*about, *(Path(content[key]) for key in ("image", "modules", "headers")))


def take(name: str, kernel: OwnKernel, digest: str, description: Path) -> TakenKernel:
    """Return a user's kernel as it is in the cache, copied or built now if the cache lacks it.

    Args:
        name: as the config has it.
        kernel: where it lies.
        digest: what it is expected to hold.
        description: the file that will describe it.

    Raises:
        CarveoutError: it holds something else, it is none, or it does not build.
    """
    if kernel.content_digest != digest:
        raise CarveoutError(
            f"{kernel.where}: wanted the files of when the run began, found that they have "
            "changed meanwhile; run again"
        )
    return TakenKernel(name, {"kind": kernel.kind, "digest": kernel.taken().name}, description)


def _config_path(word: str) -> Path:
    """Return the file of a fragment, which is named, or of a config, which is a path."""
    return _path(word) if "/" in word else _FRAGMENTS / f"{word}.config"


def _path(word: str) -> Path:
    try:
        return Path(word).expanduser().absolute()
    except RuntimeError:  # a home of nobody: then it is not found, as it is written
        return Path(word).absolute()
