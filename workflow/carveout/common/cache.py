# SPDX-License-Identifier: GPL-2.0-only
"""Downloads and builds, kept by their content outside the checkout, so that none is made twice."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from carveout.common.errors import CarveoutError
from carveout.common.files import folder_made_aside


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


def cached_folder(kind: str, digest: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder `kind/digest` of the cache; `fill` fills it when it is not there yet.

    `digest` must name all that the content depends on.
    """
    folder = cache_folder(kind) / digest
    if not folder.exists():
        with locked(f"{kind}-{digest[:16]}"):
            if not folder.exists():
                with folder_made_aside(folder) as aside:
                    fill(aside)
    return folder


@contextmanager
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
