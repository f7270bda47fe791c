# SPDX-License-Identifier: GPL-2.0-only
"""What engines do with a program that never becomes a guest."""

import asyncio
from pathlib import Path

import psutil
import pytest

from carveout.common.sizes import GIB
from carveout.guests.command_line import Machine
from carveout.guests.engines import ENGINES, Boot
from carveout.guests.guest import GuestDiedError

_WALL_LIMIT_S = 0.5


def boot_of(qemu: Path) -> Boot:
    """The boot of a machine of which no file is ever read."""
    nowhere = Path("nowhere")
    return Boot(
        machine=Machine(str(qemu), "max", 1, GIB, "", (), virtualization=False),
        kernel=nowhere,
        initrd=nowhere,
        device_tree=None,
        parameters="",
        digests={},
        state_limit_bytes=GIB,
    )


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_qemu_that_stands_still_before_it_answers_is_given_up(
    engine: str, tmp_path: Path
) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\nkill -STOP $$\n")
    qemu.chmod(0o755)

    async def make_a_guest() -> None:
        begun = ENGINES[engine](boot_of(qemu), tmp_path, _WALL_LIMIT_S)
        async with asyncio.timeout(20 * _WALL_LIMIT_S), begun as opened, opened.guest():
            pytest.fail("no guest stands")

    before = psutil.Process().children()
    with pytest.raises(GuestDiedError, match=r"found none in 0\.5 s \(limits\.wall_s\)"):
        asyncio.run(make_a_guest())
    assert not [child for child in psutil.Process().children() if child not in before]
