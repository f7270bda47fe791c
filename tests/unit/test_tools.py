# SPDX-License-Identifier: GPL-2.0-only
"""Tools beside the cache: unpacked from pinned packages, run with their own libraries."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from carveout.bundle.pack import write_bundle
from tests.conftest import CHECKOUT
from tests.unit.made_packages import host_program, libc_files, made_deb

SHELL = """
set -eu
say() { echo "carveout: $*" >&2; }
die() { say "$@"; exit 1; }
envs=$1
cache=$2
. "$envs/aside.sh"
. "$envs/tools.sh"
. "$envs/bundle.sh"
shift 2
"$@"
"""


# A Python that says what it is asked, an argument a line, and makes environments of itself.
PYTHON = """#!/bin/sh
for word; do echo "word: $word" >&2; done
[ "$1 $2" != "-m venv" ] || for folder; do :; done
[ -z "${folder:-}" ] || { mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python"; }
"""


def shell(cache: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Calls a function of envs/tools.sh or envs/bundle.sh."""
    command = ["sh", "-c", SHELL, "sh", CHECKOUT / "envs", cache, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(params=["plain", "with a 'quote' and $PATH"])
def cache(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache whose path has what a shell would take for something else."""
    home = tmp_path / str(request.param)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "carveout"


@pytest.fixture
def pins(tmp_path: Path, cache: Path) -> Path:
    """The list of two packages in the cache: a program, and the libraries that it needs."""
    assert cache
    files = {"bin/bash": host_program("bash"), "usr/bin/said": b"#!/bin/sh\necho a script\n"}
    packages = [
        made_deb(tmp_path, "bash", files, architecture="amd64"),
        made_deb(tmp_path, "libc6", libc_files("bash"), architecture="amd64"),
    ]
    path = tmp_path / "made.list"
    path.write_text("".join(f"{p.sha256}  {p.name}_1_amd64.deb\n" for p in packages))
    return path


def test_a_tool_runs_with_the_libraries_beside_it_by_whatever_name(
    tmp_path: Path, cache: Path, pins: Path
) -> None:
    done = shell(cache, "unpack_tools", pins)
    assert done.returncode == 0, done.stderr
    root = Path(done.stdout.strip())
    assert root.is_relative_to(cache)
    (tmp_path / "link").symlink_to(root / "usr/bin/bash")
    ask = 'echo "$0"; while read -r line; do echo "$line"; done </proc/self/maps'
    said = subprocess.run(
        [tmp_path / "link", "-c", ask], capture_output=True, text=True, check=True
    ).stdout
    mapped = re.findall(r" (/.*\.so.*)$", said, re.MULTILINE)
    assert len(mapped) > 0
    assert [path for path in mapped if not Path(path).is_relative_to(root)] == []
    assert said.splitlines()[0] == str(tmp_path / "link")
    assert (root / "usr/bin/said").read_bytes().endswith(b"echo a script\n"), "scripts stay"


def test_tools_are_unpacked_once(cache: Path, pins: Path) -> None:
    first, second = (shell(cache, "unpack_tools", pins) for _ in range(2))
    assert first.stdout == second.stdout
    assert "unpacking tools" in first.stderr
    assert second.stderr == ""


@pytest.mark.parametrize("damage", ["flipped", "removed", "list cut", "list removed"])
def test_damaged_tools_are_told_and_unpacked_anew(cache: Path, pins: Path, damage: str) -> None:
    root = Path(shell(cache, "unpack_tools", pins).stdout.strip())
    whole = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    program, listed = root / "usr/bin/said", root / ".carveout.sha256"
    match damage:
        case "flipped":
            program.write_bytes(program.read_bytes().replace(b"echo", b"ecko"))
        case "removed":
            program.unlink()
        case "list cut":
            listed.write_text("".join(listed.read_text().splitlines(keepends=True)[1:]))
        case _:
            listed.unlink()
    done = shell(cache, "unpack_tools", pins)
    assert done.stdout.strip() == str(root)
    told, *_ = done.stderr.splitlines()
    assert told.startswith(f"carveout: {root}: wanted the tools as they were unpacked, found")
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == whole
    assert [path.name for path in root.parent.iterdir()] == [root.name], "nothing is left"


def test_a_disk_that_is_full_leaves_no_half_of_the_tools(cache: Path, pins: Path) -> None:
    limited = 'ulimit -f 1; trap "" XFSZ; unpack_tools "$1"'
    done = shell(cache, "eval", f'set -- "{pins}"; {limited}')
    assert done.returncode == 1
    assert "could not unpack" in done.stderr.splitlines()[-1]
    assert list((cache / "tools").iterdir()) == []


def test_a_damaged_or_missing_package_is_refused_in_one_line(cache: Path, pins: Path) -> None:
    first, second = (
        cache / f"archive/{line.split()[0]}.deb" for line in pins.read_text().splitlines()
    )
    first.write_bytes(first.read_bytes()[:-1])
    second.unlink()
    done = shell(cache, "unpack_tools", pins)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"found these damaged or missing: {first.name} {second.name}; remove them" in line
    assert not (cache / "tools").exists()


def test_names_are_those_of_what_a_run_needs_and_none_of_the_tests(cache: Path) -> None:
    names = shell(cache, "tool_names").stdout.split()
    assert {"qemu-system-arm", "gcc-aarch64-linux-gnu", "python3-venv"} <= set(names)
    assert not {"chromium", "shellcheck", "Tests"} & set(names)


def test_where_nothing_is_missing_nothing_is_said_and_no_tool_is_taken() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "BUNDLE"}
    done = subprocess.run(
        [CHECKOUT / "envs/install.sh"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""


def test_a_bundles_wheels_are_found_in_whatever_cache(tmp_path: Path, cache: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / "envs", checkout / "envs")
    files = {
        "usr/bin/python3": PYTHON.encode(),
        "usr/sbin/some": b"",
        "usr/share/python-wheels/pip-1.whl": b"",
    }
    package = made_deb(tmp_path, "python3", files, architecture="amd64")
    (tmp_path / "tools.list").write_text(f"{package.sha256}  python3_1_amd64.deb\n")
    (tmp_path / "a.whl").touch()
    bundled = {"bundle/tools.list": "tools.list", "bundle/wheels/a.whl": "a.whl"}
    bundled["cache/archive/note"] = "a.whl"
    write_bundle(tmp_path / "b.tar", {name: tmp_path / of for name, of in bundled.items()})
    done = subprocess.run(
        ["sh", checkout / "envs/install.sh"],
        env=os.environ | {"BUNDLE": str(tmp_path / "b.tar")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words = done.stderr.splitlines()
    folders = [words[i + 1] for i, word in enumerate(words) if word == "word: --find-links"]
    (opened,) = (cache / "bundles").glob("*/wheels")
    assert folders == [f"word: {opened}"] * 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_is_made_aside_goes_by_ctrl_c_or_else_with_the_next(
    cache: Path, how: signal.Signals
) -> None:
    make = 'touch "$0/half"; echo made; exec sleep 60'
    # A shell cannot trap what is ignored where it starts, as SIGINT is of all that runs with `&`.
    command: list[str | Path] = ["env", "--default-signal=INT", "sh", "-c", SHELL, "sh"]
    command += [CHECKOUT / "envs", cache, "with_aside", cache / "tools", "sh", "-c", make]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, how)
        process.stdout.read()  # until the last of them is gone
    left = [path.name for path in (cache / "tools").iterdir()]
    assert left == ([".aside"] if how == signal.SIGKILL else [])
    done = shell(cache, "with_aside", cache / "tools", "ls", "-A")
    assert (done.returncode, done.stdout) == (0, "")
    assert list((cache / "tools").iterdir()) == []
