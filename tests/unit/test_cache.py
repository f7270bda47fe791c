# SPDX-License-Identifier: GPL-2.0-only
"""The cache: made once, whole or absent, and clear about why it cannot be used."""

from pathlib import Path

import pytest

from carveout.common.cache import cache_folder, cached_folder, locked
from carveout.common.errors import CarveoutError


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


def test_failed_fill_leaves_nothing(cache: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").touch()
        raise CarveoutError("no more")

    with pytest.raises(CarveoutError, match="no more"):
        cached_folder("kind", "digest", fill)
    assert list((cache / "kind").iterdir()) == []


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
