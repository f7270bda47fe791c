# SPDX-License-Identifier: GPL-2.0-only
"""Saved states: used only whole, and only for what they were saved of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of
from carveout.guests import limits
from carveout.guests.snapshots import DamagedStateError, SavedState, check_digest, program_stamp

MADE_BY = {"qemu": "7.2.22", "kernel": "aa", "initrd": "bb", "arguments": "-m 1024M"}


@pytest.fixture
def state(tmp_path: Path) -> SavedState:
    saved = SavedState(tmp_path)
    saved.image.write_bytes(b"RAM" * 1000)
    saved.describe(MADE_BY)
    return saved


def test_a_whole_state_of_the_same_host_is_used(state: SavedState) -> None:
    state.check(MADE_BY)


@pytest.mark.parametrize("name", sorted(MADE_BY))
def test_a_state_of_another_host_is_refused_by_name(state: SavedState, name: str) -> None:
    with pytest.raises(CarveoutError, match=f"wanted a saved state of {name} other, found one of"):
        state.check(MADE_BY | {name: "other"})


def cut(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:-1])


def flip_a_bit(image: Path) -> None:
    content = bytearray(image.read_bytes())
    content[1234] ^= 4
    image.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip_a_bit])
def test_a_state_that_was_changed_is_refused(
    state: SavedState, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    state.copy_to(copy, MADE_BY)
    saved = sha256_of(state.image)
    check_digest(copy, saved)
    damage(copy)
    with pytest.raises(DamagedStateError, match=r"copy: wanted the state .* [0-9a-f]{12}, found "):
        check_digest(copy, saved)
    damage(state.image)
    with pytest.raises(DamagedStateError, match="run the job again"):
        state.copy_to(copy, MADE_BY)


def test_a_state_without_description_was_never_saved_whole(tmp_path: Path) -> None:
    saved = SavedState(tmp_path)
    saved.image.write_bytes(b"RAM")
    with pytest.raises(CarveoutError, match="never saved whole"):
        saved.check(MADE_BY)


def test_a_replaced_program_has_another_stamp(tmp_path: Path) -> None:
    program = tmp_path / "qemu"
    program.write_text("old")
    before = program_stamp(str(program))
    assert program_stamp(str(program)) == before
    program.write_text("newer")
    assert program_stamp(str(program)) != before


def test_too_little_room_or_memory_is_one_line(tmp_path: Path) -> None:
    limits.check_room(tmp_path, 1)
    limits.check_memory(1, "cell")
    with pytest.raises(CarveoutError, match=r"key limits.state .*, found \d+ MiB; make room"):
        limits.check_room(tmp_path, 2**60)
    with pytest.raises(CarveoutError, match=r"cell: wanted \d+ MiB of memory .*, found \d+ MiB"):
        limits.check_memory(2**60, "cell")
