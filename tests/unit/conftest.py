# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of packages share: a cache of their own, and an archive of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from carveout.archive.apt import asked
from tests.unit.made_archive import Archive, SigningKey, configure_host, update_host
from tests.unit.made_tables import AFTER, BEFORE, rich_trials, write_tables

# The same examples each time: a run of the tests is to be repeatable, and leaves no folder behind.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/carveout"


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    """The key of every made archive."""
    with SigningKey.generated(tmp_path_factory.mktemp("key") / "gnupg") as key:
        yield key


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    """A key that nobody trusts."""
    with SigningKey.generated(tmp_path_factory.mktemp("other") / "gnupg") as key:
        yield key


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an apt configuration that stands for the host's."""
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "host/apt.conf"))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    asked.cache_clear()
    yield tmp_path / "host"
    asked.cache_clear()


@pytest.fixture
def archive(tmp_path: Path, host: Path, cache: Path, signing_key: SigningKey) -> Archive:
    """An empty archive that apt takes for the host's."""
    assert cache  # before anything can be downloaded
    made = Archive(tmp_path / "mirror", signing_key)
    made.publish()
    configure_host(host, f"file:{made.root}", signing_key.keyring)
    update_host()
    return made


@pytest.fixture(scope="session")
def rich_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a made-up run of two kernels in two granules, of which nothing is missing."""
    folder = tmp_path_factory.mktemp("rich") / "tables"
    return write_tables(folder, rich_trials(), [(BEFORE, AFTER)])
