# SPDX-License-Identifier: GPL-2.0-only
"""The guest's archives: whole, readable, and the same bytes every time."""

import re
import subprocess
from pathlib import Path

import pytest

from carveout.common.errors import CarveoutError
from carveout.initramfs.cpio import Entry, pack
from carveout.initramfs.kernel_modules import Module
from carveout.initramfs.pack import compile_program, module_entries

ENTRIES = [
    Entry("init", b"#!/bin/sh\n", executable=True),
    Entry("lib/modules/order", b""),
    Entry("bin/odd", bytes(range(7))),
]

GUEST = Path(__file__).parents[2] / "workflow/guest"


def listing(archive: bytes) -> list[str]:
    """What cpio, which shares no code with us, finds in an archive."""
    answer = subprocess.run(
        ["cpio", "--list", "--quiet"], input=archive, capture_output=True, check=True
    )
    return answer.stdout.decode().split()


def test_same_entries_give_the_same_bytes_in_any_order() -> None:
    assert pack(ENTRIES) == pack(reversed(ENTRIES))


def test_folders_come_before_what_is_in_them() -> None:
    names = listing(pack(ENTRIES))
    assert names == ["bin", "bin/odd", "init", "lib", "lib/modules", "lib/modules/order"]


def test_headers_hold_no_owner_and_no_time() -> None:
    header = pack([Entry("file", b"data")])[:110]
    fields = [int(header[start : start + 8], 16) for start in range(6, 110, 8)]
    _, mode, owner, group, _, time_s, size_bytes = fields[:7]
    assert (mode, owner, group, time_s, size_bytes) == (0o100644, 0, 0, 0, 4)


def test_archives_can_follow_one_another() -> None:
    assert len(pack(ENTRIES)) % 4 == 0


def test_content_changes_the_bytes() -> None:
    assert pack([Entry("file", b"a")]) != pack([Entry("file", b"b")])


def test_module_list_keeps_the_order_of_the_dependencies() -> None:
    entries = module_entries("load", "modules", [Module("zlib", b"ELF"), Module("a", b"ELF")])
    listed = next(entry for entry in entries if entry.path == "load/modules")
    assert listed.data == b"/load/zlib.ko\n/load/a.ko\n"


def test_init_sources_every_file_of_the_library_once() -> None:
    sourced = re.findall(r"^\. /lib/(\S+)$", (GUEST / "init").read_text(), flags=re.MULTILINE)
    assert sorted(sourced) == sorted(path.name for path in (GUEST / "lib").iterdir())


def test_a_program_does_not_depend_on_where_its_source_lies(tmp_path: Path) -> None:
    programs = []
    for name in ("here", "there"):
        source = tmp_path / name / "program.c"
        source.parent.mkdir()
        source.write_text("int main(void) { return 0; }\n")
        programs.append(compile_program([source], []))
    assert programs[0] == programs[1]


def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int main(void) { return }\n")
    with pytest.raises(CarveoutError, match=r"could not compile .*broken\.c: .*error:"):
        compile_program([source], [])
