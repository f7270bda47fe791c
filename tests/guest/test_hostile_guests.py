# SPDX-License-Identifier: GPL-2.0-only
"""Guests that mean ill: they reach neither network nor files, and cannot fill the runner's disk."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout, Run
from tests.guest.tables import run_config

CONFIG: dict[str, Any] = {
    "kernels": ["debian-6.12"],
    "results": "hostile guests; touch 'x' $(touch y)",
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"once": ["64MiB"]},
    "strategies": {"looks_around": "all"},
    "strategy_folders": ["tests/guest/strategies"],
    "loads": {"idle": [0]},
    "seeds": 1,
    "limits": {"guest_s": 12, "wall_s": 900},  # a console takes long on a busy machine
}
MIB = 2**20


@pytest.fixture(scope="module")
def looking(checkout: Checkout) -> Run:
    """Whose results folder is named like a command, too."""
    return run_config(checkout, CONFIG)


@pytest.fixture(scope="module")
def shouting(checkout: Checkout) -> Run:
    """With another host beside the one that prints."""
    strategies = {"baseline": ["ordinary_pages"], "shouts": "all"}
    return run_config(checkout, CONFIG | {"results": "shouting", "strategies": strategies})


def test_a_guest_has_nothing_but_its_memory(looking: Run) -> None:
    trials = looking.table("trials").set_index("strategy")
    assert trials.loc["looks_around", "outcome"] == "not_available"
    assert trials.loc["looks_around", "message"] == (
        "net lo; block none; virtio none; answers no; mounts no; route 1"
    )


@pytest.mark.long
def test_a_console_without_end_is_a_row_and_a_small_log(shouting: Run) -> None:
    trials = shouting.table("trials").set_index("strategy")
    assert trials.loc["shouts", "outcome"] == "crashed"
    assert trials.loc["shouts", "cause"] == "hang"
    assert trials.loc["shouts", "granted_bytes"] in (0, None)
    (log,) = shouting.results.glob("logs/boots/**/shouts/**/*.log")
    assert log.stat().st_size < 3 * MIB
    assert trials.loc["baseline", "outcome"] == "granted", "others are measured"


def test_a_name_like_a_command_is_a_name(looking: Run) -> None:
    named = [path.name for path in Path(looking.checkout.path).iterdir()]
    assert not {"x", "y"} & set(named)
