# SPDX-License-Identifier: GPL-2.0-only
"""Pins: bad ones name file and key, and a re-pin changes them and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from carveout.archive import pins
from carveout.common.errors import CarveoutError

PINS = Path("config/kernels.yaml")
QEMUS = Path("config/qemus.yaml")


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


def test_unknown_key_of_a_qemu_is_named(tmp_path: Path) -> None:
    path = tmp_path / "qemus.yaml"
    path.write_text(QEMUS.read_text().replace("suites:", "suite:", 1))
    with pytest.raises(CarveoutError, match=r"qemus.yaml: key debian-13: .*suite"):
        pins.read_qemus(path)


def test_relock_of_a_qemu_pins_what_it_links_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "qemus.yaml"
    path.write_text(QEMUS.read_text())
    old = pins.read_qemus(path)["debian-13"]
    monkeypatch.setattr(pins, "newest", list)
    monkeypatch.setattr(pins, "with_dependencies", lambda program: [program])
    library = replace(old[1], name="libnew9", version="9-9")
    monkeypatch.setattr(pins, "linked_packages", lambda _, packages: [library, *packages, *old[3:]])
    changes = pins.relock_qemus(path)
    assert changes == [
        f"{old[1]} -> none",
        f"{old[2]} -> none",
        f"none -> libnew9 9-9 ({path}: debian-13.packages.libnew9)",
    ]
    names = [package.name for package in pins.read_qemus(path)["debian-13"]]
    assert names[0] == "qemu-system-arm"
    assert names[1:] == sorted(["libnew9", *(package.name for package in old[3:])])
    comment = QEMUS.read_text().split("debian-13:", maxsplit=1)[0]
    assert path.read_text().startswith(f"{comment}debian-13:\n  suites: [trixie]\n")
