# SPDX-License-Identifier: GPL-2.0-only
"""Downloads and builds, kept by their content outside the checkout, so that none is made twice.

Every folder has a list of its files with their digests, as `sha256sum --check` reads it. What is
not as it was put there (a disk that was full, a flipped bit, an edit) is made anew.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from carveout.common.errors import CarveoutError
from carveout.common.files import folder_aside, folder_made_aside, sha256_of, write_atomically

_LIST = ".carveout.sha256"


def cache_folder(*parts: str) -> Path:
    """Return a folder of the user's cache, made when it is missing."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home, "carveout", *parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error.strerror or "cannot be made") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(folder, "permission denied")
    return folder


def cached_folder(
    kind: str, digest: str, fill: Callable[[Path], None], *, is_large: bool = False
) -> Path:
    """Return the folder `kind/digest` of the cache; `fill` fills it when it is not there yet.

    `digest` must name all that the content depends on. What is damaged is filled anew; a large
    folder is not looked through: its readers do it by `sound_folder`.
    """
    folder = cache_folder(kind) / digest
    if folder.exists() and not is_large:
        _remove_damaged(folder, ("",))
    if not folder.exists():
        with locked(f"{kind}-{digest[:16]}"):
            if not folder.exists():
                with folder_made_aside(folder) as aside:
                    fill(aside)
                    _list_files(aside)
    return folder


def sound_folder(find: Callable[[], Path], *parts: str) -> Path:
    """Return a large folder of the cache in which some files are as they were put there.

    Args:
        find: returns the folder, and fills it when it is not there.
        parts: the files, or folders of files, that are read; none for all.
    """
    _remove_damaged(find(), parts or ("",))
    return find()


def _remove_damaged(folder: Path, parts: Sequence[str]) -> None:
    """Remove a folder of the cache if some of its files are not as they were put there."""
    if found := _damage(folder, parts):
        print(f"carveout: {found}; it is made anew", file=sys.stderr)
        # Another process may be faster.
        with folder_aside(folder.parent) as aside, contextlib.suppress(FileNotFoundError):
            folder.rename(aside / folder.name)


def _damage(folder: Path, parts: Sequence[str]) -> str | None:
    """Return in words which file is not as it was put there, if any is."""
    listed = folder / _LIST
    text = listed.read_text(encoding="utf-8", errors="replace") if listed.is_file() else ""
    *lines, last = text.split("\n")
    if last != _end(len(lines)):
        return f"{listed}: wanted a list with {_end(len(lines))!r} at its end, found none"
    for line in lines:
        wanted, _, name = line.partition("  ")
        if any(f"{name}/".startswith(f"{part}/" if part else "") for part in parts):
            path = folder / name
            found = sha256_of(path) if path.is_file() else ""
            if found != wanted:
                return f"{path}: wanted the file whose sha256 is {wanted[:12]}, found " + (
                    f"one of {found[:12]}" if found else "none"
                )
    return None


def _list_files(folder: Path) -> None:
    """Write the digests of all files of a folder that is filled."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    lines = [f"{sha256_of(path)}  {path.relative_to(folder)}\n" for path in files]
    write_atomically(folder / _LIST, "".join(lines) + _end(len(lines)))


def _end(files: int) -> str:
    return f"# {files} files"


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other processes of this user out of blocks of the same name.

    The kernel drops the lock when its holder dies, so nothing is ever left locked.
    """
    path = cache_folder("locks") / name
    try:
        stream = path.open("w")
    except OSError as error:
        raise _unusable(path, error.strerror or "cannot be opened") from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _unusable(path: Path, found: str) -> CarveoutError:
    return CarveoutError(
        f"cannot use the cache {path}: {found}; "
        "set XDG_CACHE_HOME to a folder that you can read and write"
    )
