# SPDX-License-Identifier: GPL-2.0-only
"""Files that are either whole or absent, and their digests."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_END_BYTES = 2**20


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


@contextmanager
def file_made_aside(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to fill; it gets its name `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w+b") as stream:
            yield stream
        os.chmod(aside, 0o666 & ~_umask())
        os.replace(aside, path)
    except BaseException as error:
        Path(aside).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write knows no name
        raise


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


@contextmanager
def folder_made_aside(path: Path) -> Iterator[Path]:
    """Yield a folder to fill; it gets its name `path` only when the block ends well.

    When somebody else made the same folder meanwhile, theirs is kept: folders made this way are
    named by their content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        aside.chmod(0o777 & ~_umask())
        yield aside
        try:
            aside.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
