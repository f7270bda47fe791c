# SPDX-License-Identifier: GPL-2.0-only
"""The study that nothing happened to, with which all others are compared."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import copy_checkout
from tests.mishaps.study import Study


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds how often something is killed."""
    parser.addoption("--kills", type=int, default=100, help="kills in test_kills.py")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The study as it is when nothing happens, in its folder `whole`."""
    checkout = copy_checkout(tmp_path_factory.mktemp("checkout") / "study").path
    study = Study(checkout, tmp_path_factory.mktemp("tmp"))
    study.run("whole")
    return study


@pytest.fixture
def study(whole: Study, tmp_path: Path) -> Study:
    """The same study, of which nothing was run yet, on a machine of the test's own."""
    (tmp_path / "tmp").mkdir()
    for results in (path.parent for path in whole.checkout.glob("*/progress")):
        if results.name != "whole":
            shutil.rmtree(results)
    return Study(whole.checkout, tmp_path / "tmp")
