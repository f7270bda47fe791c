# SPDX-License-Identifier: GPL-2.0-only
"""Guests that mean ill: they reach neither network nor files, and cannot fill the runner's disk."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Checkout, Run

CONFIG: dict[str, Any] = {
    "kernels": ["debian-6.12"],
    "results": "hostile guests; touch 'x' $(touch y)",
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"once": ["64MiB"]},
    "strategies": {"baseline": ["ordinary_pages"], "looks_around": "all", "shouts": "all"},
    "strategy_folders": ["tests/guest/strategies"],
    "loads": {"idle": [0]},
    "seeds": 1,
    "limits": {"guest_s": 12, "wall_s": 900},  # a console takes long on a busy machine
}
MIB = 2**20


@pytest.fixture(scope="module")
def run(checkout: Checkout) -> Run:
    """Whose results folder is named like a command, too."""
    (checkout.path / "hostile.yaml").write_text(yaml.safe_dump(CONFIG))
    checkout.snakemake("tables", "--configfile", "hostile.yaml")
    return Run(checkout, checkout.path / CONFIG["results"])


def test_a_guest_has_nothing_but_its_memory(run: Run) -> None:
    trials = run.table("trials").set_index("strategy")
    assert trials.loc["looks_around", "outcome"] == "not_available"
    assert trials.loc["looks_around", "message"] == (
        "net lo; block none; virtio none; answers no; mounts no; route 1"
    )


def test_a_console_without_end_is_a_row_and_a_small_log(run: Run) -> None:
    trials = run.table("trials").set_index("strategy")
    assert trials.loc["shouts", "outcome"] == "crashed"
    assert trials.loc["shouts", "cause"] == "hang"
    assert trials.loc["shouts", "granted_bytes"] in (0, None)
    (log,) = run.results.glob("logs/boots/**/shouts/**/*.log")
    assert log.stat().st_size < 3 * MIB
    assert trials.loc["baseline", "outcome"] == "granted", "others are measured"


def test_a_name_like_a_command_is_a_name(run: Run) -> None:
    named = [path.name for path in Path(run.checkout.path).iterdir()]
    assert not {"x", "y"} & set(named)
