# SPDX-License-Identifier: GPL-2.0-only
"""Programs of another suite: found with what they link to, and run by no library of the host.

The host's own `ls` and `cat` stand for such programs, packed with one package a library.
"""

import re
import subprocess
from pathlib import Path

import pytest

from carveout.archive.debs import fetch, unpack
from carveout.archive.foreign import linked_packages, wrap_program
from carveout.archive.package import Package
from carveout.common.errors import CarveoutError
from tests.unit.made_packages import LIBRARIES, host_libraries, host_program, made_deb

pytestmark = pytest.mark.usefixtures("cache")


def packed(folder: Path, program: str) -> dict[str, Package]:
    """A package with a program of the host, and one for each library, by the library's name."""
    return {program: made_deb(folder, program, {f"usr/bin/{program}": host_program(program)})} | {
        name: made_deb(folder, name.lower().replace("_", "-"), {f"{LIBRARIES}/{name}": content})
        for name, content in host_libraries(program).items()
    }


def test_packages_of_a_program_are_those_that_it_links_to(tmp_path: Path) -> None:
    needed = list(packed(tmp_path, "ls").values())
    other = made_deb(tmp_path, "other", {f"{LIBRARIES}/libother.so.1": b"no library"})
    assert len(needed) >= 4
    assert linked_packages("usr/bin/ls", [*needed[:2], other, *needed[2:]]) == needed


def test_a_library_that_only_the_host_has_is_refused(tmp_path: Path) -> None:
    packages = packed(tmp_path, "ls")
    (missing,) = (name for name in packages if name.startswith("libselinux.so"))
    del packages[missing]
    with pytest.raises(CarveoutError, match=f"ls: wanted {re.escape(missing)} in a package"):
        linked_packages("usr/bin/ls", list(packages.values()))


def test_packages_without_the_program_are_refused(tmp_path: Path) -> None:
    packages = list(packed(tmp_path, "ls").values())
    with pytest.raises(CarveoutError, match="wanted one package with usr/bin/nosuch, found 0"):
        linked_packages("usr/bin/nosuch", packages)


def test_a_wrapped_program_is_one_process_and_takes_the_suites_libraries(tmp_path: Path) -> None:
    made, moved = tmp_path / "made", tmp_path / "moved and renamed"
    unpack(fetch(list(packed(tmp_path, "cat").values())), made)
    wrap_program(made / "usr/bin/cat", made)
    made.rename(moved)
    command = [str(moved / "usr/bin/cat"), "/proc/self/stat", "/proc/self/maps"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        said, _ = process.communicate()
    assert said.startswith(f"{process.pid} (")
    mapped = {Path(path) for path in re.findall(r" (/.*\.so.*)$", said, re.MULTILINE)}
    assert len(mapped) == 2
    assert all(path.is_relative_to(moved) for path in mapped)
