# SPDX-License-Identifier: GPL-2.0-only
"""Pins: bad ones name file and key, and a re-pin changes them and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from carveout import pins
from carveout.errors import CarveoutError

PINS = Path("config/kernels.yaml")


def changed_pins(folder: Path, keys: Sequence[str], value: object) -> Path:
    """The repository's pins with one key changed."""
    content = yaml.safe_load(PINS.read_text())
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    path = folder / "kernels.yaml"
    path.write_text("# first comment\n# goes on\n" + yaml.safe_dump(content, sort_keys=False))
    return path


IMAGE = ("kernels", "debian-6.12", "packages", "image")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ((*IMAGE, "sha256"), "tooshort"),
        ((*IMAGE, "colour"), "blue"),
        (("kernels", "debian-6.12", "page_bytes"), "4096"),
        (("kernels", "debian-6.12", "suites"), []),
    ],
)
def test_bad_pins_name_file_and_key(tmp_path: Path, keys: tuple[str, ...], value: object) -> None:
    path = changed_pins(tmp_path, keys, value)
    with pytest.raises(CarveoutError) as error:
        pins.read_pins(path)
    message = str(error.value)
    assert str(path) in message
    assert keys[-1] in message
    assert "\n" not in message


def test_unknown_kernel_lists_the_known() -> None:
    with pytest.raises(CarveoutError, match=r"no debian-1.0; there are debian-6.12"):
        pins.kernel_pin(PINS, "debian-1.0")


def test_relock_changes_the_pins_and_keeps_the_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = changed_pins(tmp_path, (*IMAGE, "version"), "6.12.1-1")
    monkeypatch.setattr(
        pins, "newest", lambda packages: [replace(p, version="9-9") for p in packages]
    )
    changes = pins.relock(path)
    assert f"({path}: kernels.debian-6.12.packages.image) -> 9-9" in changes[0]
    assert path.read_text().startswith("# first comment\n# goes on\nkernels:\n")
    assert pins.kernel_pin(path, "debian-6.12").packages["libc"].version == "9-9"


def test_relock_refuses_a_mixture_of_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = changed_pins(tmp_path, (*IMAGE, "version"), "6.12.1-1")
    before = path.read_text()
    monkeypatch.setattr(pins, "newest", list)
    with pytest.raises(CarveoutError, match=r"image is 6.12.1-1, but .*try again later"):
        pins.relock(path)
    assert path.read_text() == before
