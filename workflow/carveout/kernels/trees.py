# SPDX-License-Identifier: GPL-2.0-only
"""A user's source tree: which of its files count, what they hold, and a copy of them.

In a git tree the tracked and the untracked files that are not ignored count, in any other folder
all but what building makes. Nothing is ever written to the tree.
"""

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from carveout.common.files import sha256_of_json
from carveout.common.processes import run_program

_MODE_OF_LINK = "120000"
# What building makes, as far as a clean copy may not have it: `make mrproper` there does the rest.
_BUILT = re.compile(
    r"(.*/)?([^/]+\.(o|a|ko|so|cmd|mod|mod\.c|order|symvers|dtb|dtbo)|\.config(\.old)?|\.tmp_[^/]*)"
    r"|(vmlinux|modules\.|System\.map)[^/]*|arch/[^/]+/boot/[^/]*Image([.]\w+)?"
)
_BUILT_FOLDERS = re.compile(r"(.*/)?(\.git|\.tmp_[^/]*)|(arch/[^/]+/)?include/(config|generated)")
_QUIET = {"GIT_OPTIONAL_LOCKS": "0"}  # git would write what it learns into the tree's index


def is_git_tree(tree: Path) -> bool:
    """Return whether a folder is the top of a git tree."""
    return (tree / ".git").exists()


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
    if not is_git_tree(tree):
        names = list(_unbuilt(tree))
        with ThreadPoolExecutor() as threads:
            found = threads.map(lambda name: _entry(tree / name, "sha1"), names)
            return dict(zip(names, found, strict=True))
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


def _listed(tree: Path, *options: str) -> Sequence[str]:
    """Return what `git ls-files` lists of a tree; of another git tree inside it nothing."""
    command = ["git", "ls-files", "-z", *options]
    listed = run_program(command, f"list the files of {tree}", folder=tree, variables=_QUIET)
    return [name for name in listed.split("\0") if name and not name.endswith("/")]


def _unbuilt(tree: Path) -> Iterator[str]:
    """Yield the files and links of a folder without what building makes."""
    for folder, folders, names in os.walk(tree):
        inside = "" if folder == str(tree) else f"{Path(folder).relative_to(tree)}/"
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if not _BUILT_FOLDERS.fullmatch(inside + name)]
        for name in (*names, *links):
            if not _BUILT.fullmatch(inside + name):
                yield inside + name


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
