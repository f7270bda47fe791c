# SPDX-License-Identifier: GPL-2.0-only
"""A user's source tree: which of its files count, what they hold, and a copy of them.

git says both: in a git tree the tracked and the untracked files that are not ignored count, in any
other folder all that its .gitignore files do not name, which is to say no build products. Nothing
is ever written to the tree.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from carveout.common.files import sha256_of_json
from carveout.common.processes import run_program

_MODE_OF_LINK = "120000"
_QUIET = {"GIT_OPTIONAL_LOCKS": "0"}  # git would write what it learns into the tree's index


def tree_digest(tree: Path) -> str:
    """Return the digest of what counts in a tree: paths, kinds and contents.

    In a git tree only what differs from its index is read, so that a large one takes a second.
    """
    return sha256_of_json(sorted(_entries(tree).items()))


def copy_tree(tree: Path, folder: Path) -> None:
    """Copy all that counts in a tree into an empty folder."""
    made = {folder}
    for name in sorted(_entries(tree)):
        source, copied = tree / name, folder / name
        if copied.parent not in made:
            copied.parent.mkdir(parents=True, exist_ok=True)
            made.add(copied.parent)
        if source.is_symlink():
            copied.symlink_to(source.readlink())
        elif source.is_file():  # git may know files that are not checked out
            shutil.copy(source, copied)


def _entries(tree: Path) -> Mapping[str, str]:
    """Return `mode id` of every file that counts, by its path; ids are those that git has."""
    if not (tree / ".git").exists():
        with tempfile.TemporaryDirectory(prefix="carveout-git-") as name:
            run_program(["git", "init", "--quiet", name], "read a source tree")
            names = _listed(tree, "--others", "--exclude-standard", git_folder=Path(name, ".git"))
        return {name: _entry(tree / name, "sha1") for name in names}
    entries = {}
    for line in _listed(tree, "--stage"):
        about, _, name = line.partition("\t")
        mode, blob, _ = about.split()
        entries[name] = f"{mode} {blob}"
    algorithm = "sha256" if any(len(entry) > 64 for entry in entries.values()) else "sha1"
    changed = _listed(tree, "--modified")
    for name in (*changed, *_listed(tree, "--others", "--exclude-standard")):
        if os.path.lexists(tree / name):
            entries[name] = _entry(tree / name, algorithm)
        else:
            entries.pop(name, None)
    return entries


def _listed(tree: Path, *options: str, git_folder: Path | None = None) -> Sequence[str]:
    """Return what `git ls-files` lists of a tree; of another git tree inside it nothing."""
    where = [f"--git-dir={git_folder}", "--work-tree=."] if git_folder else []
    command = ["git", *where, "ls-files", "-z", *options]
    listed = run_program(command, f"list the files of {tree}", folder=tree, variables=_QUIET)
    return [name for name in listed.split("\0") if name and not name.endswith("/")]


def _entry(path: Path, algorithm: str) -> str:
    """Return `mode id` of a file as git would add it."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        mode, content = _MODE_OF_LINK, os.fsencode(path.readlink())
    else:
        mode = "100755" if status.st_mode & stat.S_IXUSR else "100644"
        content = path.read_bytes()
    digest = hashlib.new(algorithm, b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return f"{mode} {digest.hexdigest()}"
