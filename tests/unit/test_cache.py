# SPDX-License-Identifier: GPL-2.0-only
"""The cache: made once, whole or absent, and clear about why it cannot be used."""

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from carveout.common.cache import cache_folder, cached_folder, locked, sound_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import folder_aside


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "carveout"


def test_folder_is_filled_once() -> None:
    fills = []

    def fill(folder: Path) -> None:
        fills.append(folder)
        (folder / "file").write_text("content")

    first = cached_folder("kind", "digest", fill)
    assert cached_folder("kind", "digest", fill) == first
    assert len(fills) == 1
    assert (first / "file").read_text() == "content"


def damages() -> dict[str, Callable[[Path], object]]:
    """What may become of a folder of the cache, by what it is."""
    return {
        "cut": lambda folder: (folder / "usr/a").write_text("conten"),
        "flipped": lambda folder: (folder / "usr/a").write_text("cohtent"),
        "removed": lambda folder: (folder / "usr/a").unlink(),
        "a folder": lambda folder: ((folder / "usr/a").unlink(), (folder / "usr/a").mkdir()),
        "list removed": lambda folder: (folder / ".carveout.sha256").unlink(),
        "list cut": lambda folder: (folder / ".carveout.sha256").write_text(""),
        "list without end": lambda folder: (folder / ".carveout.sha256").write_text(
            (folder / ".carveout.sha256").read_text()[:-3]
        ),
        "list flipped": lambda folder: (folder / ".carveout.sha256").write_text(
            (folder / ".carveout.sha256").read_text().replace("a", "e", 1)
        ),
    }


def two_files(folder: Path) -> None:
    (folder / "usr").mkdir()
    (folder / "usr/a").write_text("content")
    (folder / "usr/link").symlink_to("nowhere")
    (folder / "b").write_text("more")


@pytest.mark.parametrize("damage", damages())
@pytest.mark.parametrize("is_large", [True, False])
def test_what_is_damaged_is_made_anew(
    damage: str, is_large: bool, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def folder() -> Path:
        return cached_folder("kind", "digest", two_files, is_large=is_large)

    damages()[damage](folder())
    found = sound_folder(folder) if is_large else folder()
    assert (found / "usr/a").read_text() == "content"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"carveout: {found}/")
    assert line.endswith("; it is made anew")
    assert [path.name for path in (cache / "kind").iterdir()] == ["digest"]


def test_what_is_sound_is_not_made_anew() -> None:
    fills: list[Path] = []

    def fill(folder: Path) -> None:
        fills.append(folder)
        two_files(folder)

    def folder() -> Path:
        return cached_folder("kind", "digest", fill)

    assert sound_folder(folder) == folder()
    assert len(fills) == 1
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", ".carveout.sha256"], cwd=folder(), check=False
    )
    assert done.returncode == 0


def test_of_a_large_folder_the_files_are_looked_at_that_are_read() -> None:
    def folder() -> Path:
        return cached_folder("kind", "digest", two_files, is_large=True)

    (folder() / "b").write_text("other")
    assert (sound_folder(folder, "usr", "us") / "b").read_text() == "other"
    assert (sound_folder(folder, "usr/a", "b") / "b").read_text() == "more"


def test_failed_fill_leaves_nothing(cache: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").touch()
        raise CarveoutError("no more")

    with pytest.raises(CarveoutError, match="no more"):
        cached_folder("kind", "digest", fill)
    assert list((cache / "kind").iterdir()) == []


FILLER = """
import sys
from carveout.common.cache import cached_folder
def fill(folder):
    (folder / "half").touch()
    print(folder, flush=True)
    input()
cached_folder("kind", sys.argv[1], fill)
"""


def start(digest: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that fills a folder of the cache until it gets a line, and what it fills."""
    process = subprocess.Popen(
        [sys.executable, "-c", FILLER, digest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_half_filled_goes_and_what_one_at_work_fills_stays(
    cache: Path,
) -> None:
    killed, left = start("killed")
    at_work, filled = start("at work")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (left / "half").exists()
    cached_folder("kind", "digest", two_files)
    assert not left.exists()
    assert (filled / "half").exists()
    at_work.communicate("\n")
    assert at_work.returncode == 0
    assert sorted(path.name for path in (cache / "kind").iterdir()) == ["at work", "digest"]


def test_what_another_machine_fills_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    here = platform.node()
    with monkeypatch.context() as there:
        there.setattr(platform, "node", lambda: f"{here}-2")
        with folder_aside(cache) as theirs:
            pass
    theirs.mkdir()  # as it looks where the locks of folders are each machine's own
    with folder_aside(cache):
        assert theirs.exists()


def test_cache_that_is_no_folder_is_named(cache: Path) -> None:
    cache.touch()
    with pytest.raises(CarveoutError, match=r"cannot use the cache .*; set XDG_CACHE_HOME"):
        cache_folder("kind")


def test_unreadable_cache_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != cache / "kind")
    with pytest.raises(CarveoutError, match=r"cannot use the cache .*kind: permission denied"):
        cache_folder("kind")


def test_lock_is_free_again_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside"), locked("name"):
        raise RuntimeError("inside")
    with locked("name"):
        pass
