# SPDX-License-Identifier: GPL-2.0-only
"""A Slurm for the tests."""

from collections.abc import Iterator

import pytest

from tests.cluster.slurm import Slurm, running_slurm


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds how many jobs wait in the queue."""
    parser.addoption("--jobs", type=int, default=1000, help="jobs in test_queue.py")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of the module's own."""
    with running_slurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started
