# SPDX-License-Identifier: GPL-2.0-only
"""A small file that carveout wrote and something damaged: one line says what to remove."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carveout.archive.package import Package
from carveout.archive.unpacked import Unpacked
from carveout.boots import run
from carveout.bundle import contents
from carveout.collection.collect import KernelFacts
from carveout.common.errors import CarveoutError
from carveout.common.files import write_atomically, write_json_atomically
from carveout.common.schemas import load_sealed, write_sealed
from carveout.guests.snapshots import DamagedStateError, SavedState
from carveout.initramfs.debian_programs import debian_programs
from carveout.initramfs.pack import busybox_of
from carveout.kernels.kernel import unpacked_kernel
from carveout.machines.emulators import checked_qemu, qemu_program
from carveout.tables import seal

REMOVE = "; remove it, and the next run makes it anew"
PACKAGE = Package("a", "1", "amd64", "aa", ("bookworm",)).to_json()
KERNEL = {
    "kernel": "one",
    "release": "6.12.9-arm64",
    "version": "6.12.9-1",
    "pinned": "6.12.8-1",
    "image_sha256": "0123" * 16,
    "page_bytes": 4096,
    "packages": [PACKAGE],
}
QEMU = {"qemu": "debian-13", "version": "10.0 (Debian)", "packages": [PACKAGE]}
DAMAGES = {
    "cut": b'{"packages": [',
    "empty": b"",
    "no key": b"{}",
    "a list": b"[]",
    "of text": b'{"packages": "a", "qemu": "q", "version": "1"}',
    "of a text": b'{"packages": ["a"], "qemu": "q", "version": "1"}',
    "no UTF-8": b'{"version": "\xe9"}',
    "long number": b"9" * 5000,
    "deep": b"[" * 100_000,
    "no seal": json.dumps({**KERNEL, **QEMU}).encode(),
    "null": b"null",
    "another's seal": json.dumps({**KERNEL, **QEMU, "seal": "0" * 64}).encode(),
}
READERS: dict[str, Callable[[Path], object]] = {
    "qemu.json": lambda path: qemu_program(str(path)),
    "version in qemu.json": lambda path: checked_qemu(str(path)),
    "kernel.json": unpacked_kernel,
    "load.json": lambda path: debian_programs(path, {}),
    "busybox.json": busybox_of,
}


def one_line(error: pytest.ExceptionInfo[CarveoutError]) -> str:
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 700
    return said


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_description_is_to_be_removed(reader: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / "what.json"
    path.write_bytes(DAMAGES[damage])
    with pytest.raises(CarveoutError, match=r"what\.json: wanted ") as error:
        READERS[reader](path)
    assert one_line(error).endswith(REMOVE)


@pytest.mark.parametrize(
    ("definition", "content"),
    [
        ("kernel", KERNEL),
        ("kernel_facts", KERNEL),
        ("qemu", QEMU),
        ("package", PACKAGE),
        ("state", {"made_by": {"qemu": "10.0"}, "image_sha256": "0123" * 16}),
    ],
)
def test_no_bit_flips_unseen(definition: str, content: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "what.json"
    write_sealed(path, content)
    written = path.read_bytes()
    told = 0
    for bit in range(8 * len(written)):
        flipped = bytearray(written)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with contextlib.suppress(CarveoutError):
            # What flipped was space between values.
            assert load_sealed(path, definition) == content
            continue
        told += 1
    assert told > 6 * len(written)


@pytest.mark.parametrize("damage", [d for d in DAMAGES if not d.startswith("of ")])
def test_tables_are_not_made_of_a_damaged_description(damage: str, tmp_path: Path) -> None:
    write_atomically(tmp_path / "kernels/one/kernel.json", DAMAGES[damage])
    with pytest.raises(CarveoutError, match=r"one/kernel\.json: wanted ") as error:
        KernelFacts.read(tmp_path, "one")
    assert one_line(error).endswith(REMOVE)


def test_a_damaged_note_of_the_cache_is_to_be_removed(cache: Path) -> None:
    path = cache / "linked/aa/packages.json"
    write_json_atomically(path, [PACKAGE])
    assert len(contents._linked({PACKAGE["sha256"]})) == 1
    for damage in (b"", b"{}", b"[1]", b'[{"name": "a"}]', json.dumps([PACKAGE])[:-9].encode()):
        path.write_bytes(damage)
        with pytest.raises(CarveoutError, match=r"aa/packages\.json: wanted ") as error:
            contents._linked(set())
        assert one_line(error).endswith(REMOVE)


def test_a_damaged_list_of_tools_names_its_folder(tmp_path: Path) -> None:
    path = tmp_path / ".carveout-tools.json"
    write_json_atomically(path, [PACKAGE])
    assert [tool.name for tool in Unpacked(tmp_path).tools()] == ["a"]
    path.write_bytes(b"[{")
    with pytest.raises(CarveoutError, match=rf"tools\.json: wanted .*; remove {tmp_path}, and"):
        Unpacked(tmp_path).tools()


@pytest.mark.parametrize("damage", [b"", b"\xff" * 64, b"aa\n", b"a" * 63 + b"\n\n" + b"a"])
def test_a_damaged_digest_is_to_be_removed(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "base.sha256").write_bytes(damage)
    (tmp_path / "base.cpio").write_bytes(b"")
    with pytest.raises(CarveoutError, match=r"base\.sha256: wanted ") as error:
        run._checked_image(tmp_path / "base.cpio")
    assert one_line(error).endswith(REMOVE)


def test_a_digest_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "base.cpio").write_bytes(b"")
    with pytest.raises(CarveoutError, match=r"base\.sha256: cannot be read: No such file"):
        run._checked_image(tmp_path / "base.cpio")


def test_a_damaged_digest_of_a_table_is_to_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "_read", lambda _: ("aa", "aa", "b" * 64))
    (tmp_path / "trials.sha256").write_bytes(b"\xff\n")
    with pytest.raises(CarveoutError, match=r"trials\.sha256: wanted ") as error:
        seal.check_seal(tmp_path / "trials.parquet")
    assert one_line(error).endswith(REMOVE)


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b'{"made_by": {', b"\xff", b'{"made_by": 1}']
)
def test_a_state_with_a_damaged_description_is_a_damaged_state(
    damage: bytes, tmp_path: Path
) -> None:
    state = SavedState(tmp_path)
    state.image.write_bytes(b"RAM")
    (tmp_path / "state.json").write_bytes(damage)
    for use in (state.check, lambda wanted: state.copy_to(tmp_path / "copy", wanted)):
        with pytest.raises(DamagedStateError, match=r"state\.json: wanted .*run the job again"):
            use({"qemu": "1"})
