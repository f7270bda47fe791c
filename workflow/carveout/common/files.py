# SPDX-License-Identifier: GPL-2.0-only
"""Files and folders that are either whole or absent, what killed processes left, and digests."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_END_BYTES = 2**20
_ASIDE, _JOB = ".aside-", "carveout-job-"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_json(value: object) -> str:
    """Return the sha256 of a value's one canonical JSON text, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_ends(path: Path) -> str:
    """Return a text of whatever size: of a large one its beginning and its end, a MiB each."""
    with path.open("rb") as stream:
        text = stream.read(2 * _END_BYTES)
        left_out_bytes = stream.seek(0, os.SEEK_END) - len(text)
        if left_out_bytes:
            stream.seek(-_END_BYTES, os.SEEK_END)
            words = f"\n[... {left_out_bytes} bytes are left out ...]\n".encode()
            text = text[:_END_BYTES] + words + stream.read()
    return text.decode("utf-8", "replace")


@contextlib.contextmanager
def file_made_aside(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to fill; it gets its name `path` only when the block ends well.

    Who is killed leaves the file aside, and the next on the machine that makes the same fills it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        aside, handle = _file_aside(path, held)
        try:
            with os.fdopen(handle, "w+b", closefd=False) as stream:
                stream.truncate()
                yield stream
            os.chmod(aside, 0o666 & ~_umask())
            os.replace(aside, path)
        except BaseException as error:
            aside.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(path)  # a write knows no name
            raise


def _file_aside(path: Path, held: contextlib.ExitStack) -> tuple[Path, int]:
    """Return a file that this process alone has, and its handle, which `held` closes."""
    aside = path.with_name(f".{path.name}.{platform.node()}")
    try:
        return aside, held.enter_context(_held(aside, os.O_RDWR | os.O_CREAT))
    except OSError:
        # Another process is filling it, or it is another user's, or nothing can be held there.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        held.callback(os.close, handle)
        return Path(name), handle


def append_line(path: Path, line: str) -> None:
    """Append a line to a file that others append to, by one write; the file need not exist."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if os.write(handle, line.encode()) < len(line.encode()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # there was room for a part
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        os.close(handle)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file aside and rename it, so that nobody ever sees half of it."""
    with file_made_aside(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def write_json_atomically(path: Path, value: object) -> None:
    """Write a value as indented JSON with sorted keys, to a file aside, and rename that."""
    write_atomically(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


@contextlib.contextmanager
def folder_made_aside(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; it gets its name `path` only when the block ends well.

    When somebody else made the same folder meanwhile, theirs is kept: folders made this way are
    named by their content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_aside(path.parent) as aside:
        aside.chmod(0o777 & ~_umask())
        yield aside
        try:
            aside.rename(path)
        except OSError:
            if not path.is_dir():
                raise


def folder_aside(parent: Path) -> contextlib.AbstractContextManager[Path]:
    """Return a context: a folder on the disk of another, in it, for what is to be renamed."""
    return _held_folder(parent, _ASIDE)


def job_folder() -> contextlib.AbstractContextManager[Path]:
    """Return a context: a folder of this job's own on the disk of TMPDIR."""
    return _held_folder(Path(tempfile.gettempdir()), _JOB)


@contextlib.contextmanager
def _held_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder that goes when the block ends, once what killed processes left is gone.

    Who is killed cannot remove its folder: the next process on the machine does, which knows by a
    lock on the folder, one that the kernel drops with its holder, whose holder is gone.
    """
    # Where machines share a disk, the lock of a folder may be known to its own machine alone. No
    # machine's name has a plus, so that none begins as another's with it.
    prefix = f"{prefix}{platform.node()}+"
    _remove_left_over(parent, prefix)
    with contextlib.ExitStack() as held:
        folder = _new_folder(parent, prefix, held)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _new_folder(parent: Path, prefix: str, held: contextlib.ExitStack) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        # Another process may be faster, and take it for what a killed one left.
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            held.enter_context(_held(folder, os.O_RDONLY | os.O_DIRECTORY))
            return folder


def _remove_left_over(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        # Held by a process at work, another user's, or just removed.
        with contextlib.suppress(OSError), _held(folder, os.O_RDONLY | os.O_DIRECTORY):
            shutil.rmtree(folder)


@contextlib.contextmanager
def _held(path: Path, flags: int) -> Iterator[int]:
    """Yield the handle of a file or folder that no other process holds until the block ends.

    Raises:
        OSError: another holds it, has removed it or has given it another name.
    """
    handle = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(handle), os.lstat(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        yield handle
    finally:
        os.close(handle)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
