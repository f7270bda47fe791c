# SPDX-License-Identifier: GPL-2.0-only
"""Strategies from outside the repository, and every way in which one is refused."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from carveout.common.errors import CarveoutError
from tests.unit.test_matrix import CONFIG, WORKFLOW, read


@pytest.fixture
def config() -> dict[str, Any]:
    return copy.deepcopy(CONFIG)


@pytest.fixture
def plugin(config: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of a strategy in a folder outside the repository, and the config that names it."""
    folder = tmp_path / "mine" / "own_area"
    shutil.copytree(WORKFLOW / "strategies" / "cma", folder)
    config["strategies"] = {"own_area": "all"}
    config["strategy_folders"] = [str(folder.parent)]
    del config["figures"]
    return folder


def test_a_strategy_from_outside_the_repository(config: dict[str, Any], plugin: Path) -> None:
    assert {c.variant.strategy for c in read(config)} == {plugin.name}


def test_a_strategy_without_a_hook(config: dict[str, Any], plugin: Path) -> None:
    (plugin / "guest.sh").write_text("lend() { :; }\n")
    with pytest.raises(CarveoutError, match=r"guest\.sh: wanted a function give_back\(\)"):
        read(config)


def test_a_strategy_without_its_guest_script(config: dict[str, Any], plugin: Path) -> None:
    (plugin / "guest.sh").unlink()
    with pytest.raises(CarveoutError, match=r"own_area: wanted the file guest\.sh, found none"):
        read(config)


def test_a_strategy_with_an_unknown_key(config: dict[str, Any], plugin: Path) -> None:
    text = (plugin / "strategy.yaml").read_text()
    (plugin / "strategy.yaml").write_text(text + "wishes: none\n")
    with pytest.raises(CarveoutError, match=r"strategy\.yaml: key .*unknown key wishes"):
        read(config)


def test_a_template_with_an_unknown_name(config: dict[str, Any], plugin: Path) -> None:
    text = (plugin / "strategy.yaml").read_text()
    (plugin / "strategy.yaml").write_text(text.replace("lendable_bytes", "lend_able"))
    with pytest.raises(CarveoutError, match=r"key variants\.area: the template .*lend_able"):
        read(config)


def test_two_strategies_of_one_name(config: dict[str, Any], plugin: Path) -> None:
    shutil.copytree(plugin, plugin.parent / "cma")
    with pytest.raises(CarveoutError, match="a strategy named cma is already in"):
        read(config)
