# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that is built from a source tree of the user's own, which is never written to."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder, sha256_of_json
from carveout.common.processes import run_program
from carveout.kernels.build import BUILDING, Recipe, build, compiler_version
from carveout.kernels.trees import copy_tree, is_git_tree, tree_digest

_PARTS = ("Makefile", "Kconfig", "arch/arm64")
_WHOLE_CONFIG = "# Automatically generated file; DO NOT EDIT."  # so does kconfig begin a .config


@dataclass(frozen=True)
class OwnTree:
    """A source tree and what it is built with.

    Attributes:
        where: the file and key that ask for it, for errors.
        page_bytes: as stated there.
        tree: the folder.
        config: files of options; the first may be a whole .config.
    """

    where: str
    page_bytes: int
    tree: Path
    config: Sequence[Path]
    kind = "tree"

    @functools.cached_property
    def content_digest(self) -> str:
        """The digest of all that the kernel is built from, without any path of this machine.

        Raises:
            CarveoutError: there is no such tree, or no such config.
        """
        missing = [part for part in _PARTS if not (self.tree / part).exists()]
        if missing:
            raise CarveoutError(
                f"{self.where}.tree: wanted a kernel's source tree, found no {missing[0]} in "
                f"{self.tree}; name the folder that has it"
            )
        recipe = self._recipe()
        try:
            held = tree_digest(self.tree)
        except OSError as error:
            raise CarveoutError(
                f"{self.where}.tree: wanted files that can be read, found {error.filename}: "
                f"{error.strerror}"
            ) from error
        return sha256_of_json([BUILDING, held, recipe.whole_config, recipe.options])

    def taken(self) -> Path:
        """Return the folder of the cache with the built kernel, built now if the cache lacks it.

        Raises:
            CarveoutError: the tree changes meanwhile, or does not build as its config asks.
        """
        digest = sha256_of_json([self.content_digest, compiler_version()])
        return cached_folder("own", digest, self._build, is_large=True)

    def _build(self, folder: Path) -> None:
        with job_folder() as copied:
            copy_tree(self.tree, copied)
            if replace(self).content_digest != self.content_digest:
                raise CarveoutError(
                    f"{self.where}.tree: wanted a tree that rests while it is copied, found that "
                    f"{self.tree} has changed; run again"
                )
            if not is_git_tree(self.tree):
                command = ["make", "--silent", "mrproper"]
                run_program(command, "clean a copy", folder=copied, is_apart=True)
            build(copied, self._recipe(), folder)

    def _recipe(self) -> Recipe:
        parts = []
        for path in self.config:
            try:
                parts.append(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                said = error.strerror if isinstance(error, OSError) else "no text"
                raise CarveoutError(
                    f"{self.where}.config: wanted the name of a fragment of config/kernels, or the "
                    f"path of a file of options, with a slash in it, found {path}: {said}"
                ) from error
        whole = [_WHOLE_CONFIG in part for part in parts]
        if any(whole[1:]):
            raise CarveoutError(
                f"{self.where}.config: wanted a whole .config first, found one after other "
                f"options, which it would undo: {self.config[whole.index(True, 1)]}"
            )
        first = whole[:1].count(True)
        return Recipe(
            self.where, config="\n".join(parts[first:]), whole_config="".join(parts[:first])
        )
