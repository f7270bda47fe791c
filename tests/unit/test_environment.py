# SPDX-License-Identifier: GPL-2.0-only
"""The Python that conda would deploy is the Python that is pinned."""

import re
from pathlib import Path

import yaml


def pinned(text: str) -> dict[str, str]:
    """Name and version of every pin, the names as PyPI normalizes them."""
    found = re.findall(r"^\s*([A-Za-z0-9_.-]+)(?:\[\w+\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_conda_has_the_versions_of_the_lock() -> None:
    lock = pinned(Path("envs/requirements.txt").read_text())
    content = yaml.safe_load(Path("envs/environment.yaml").read_text())
    conda = pinned("\n".join(content["dependencies"][-1]["pip"]))
    assert len(conda) >= 12
    assert conda == {name: lock[name] for name in conda}


def test_conda_has_every_requirement_of_the_pipeline() -> None:
    wanted = Path("envs/requirements.in").read_text().split("# Tests and checks")[0]
    names = re.findall(r"^([A-Za-z0-9_.-]+)", wanted, re.MULTILINE)
    conda = Path("envs/environment.yaml").read_text()
    assert [name for name in names if f"- {name}" not in conda] == []
