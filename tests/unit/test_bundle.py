# SPDX-License-Identifier: GPL-2.0-only
"""Bundles: the same content is the same bytes, and what was cut off or changed is refused."""

import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from carveout.archive.lockfile import Entry, Lock
from carveout.archive.package import Package, PackageSet
from carveout.bundle import contents, pack
from carveout.bundle.contents import check_config, committed_revision, made_files
from carveout.bundle.pack import write_bundle
from carveout.bundle.rerun import prepare
from carveout.common.errors import CarveoutError
from carveout.common.revision import git_revision
from carveout.kernels.kernel import Kernel
from carveout.machines import emulators
from carveout.machines.emulators import QEMU_PROGRAM
from tests.unit.made_packages import host_program, libc_files, made_deb
from tests.unit.test_tools import shell

CONFIG: dict[str, Any] = {
    "results": "results",
    "own_kernels": {},
    "strategy_folders": [],
    "load_folders": [],
    "qemu": "qemu-system-aarch64",
}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty cache of another machine."""
    return tmp_path / "other machine/carveout"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of a few files."""
    source = tmp_path / "source"
    source.mkdir()
    contents = {
        "bundle/config.yaml": "results: results\n",
        "bundle/tools.list": "",
        "cache/archive/aa.deb": "a package",
        "cache/built/bb/Image": "a kernel",
        "carveout/Makefile": "a checkout",
    }
    files = {}
    for name, content in contents.items():
        files[name] = source / name.replace("/", "_")
        files[name].write_text(content)
    (source / "link").symlink_to("Image")
    files["cache/built/bb/vmlinuz"] = source / "link"
    write_bundle(tmp_path / "bundle.tar", files)
    return tmp_path / "bundle.tar"


def test_a_bundle_is_opened_into_the_cache(bundle: Path, cache: Path) -> None:
    done = shell(cache, "open_bundle", bundle)
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.strip())
    assert (folder / "config.yaml").read_text() == "results: results\n"
    assert (cache / "archive/aa.deb").read_text() == "a package"
    assert (cache / "built/bb/vmlinuz").read_text() == "a kernel"
    assert sorted(path.name for path in cache.iterdir()) == [
        *("archive", "built", "bundles", "bundles.lock")
    ]
    assert [path.name for path in (cache / "bundles").iterdir()] == [folder.name]
    again = shell(cache, "open_bundle", bundle)
    assert (again.stdout, again.stderr) == (done.stdout, "")


def test_tar_unpacks_the_checkout_without_a_word(bundle: Path, tmp_path: Path) -> None:
    command = ["tar", "--extract", f"--file={bundle}", f"--directory={tmp_path}", "carveout"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
    assert (tmp_path / "carveout/Makefile").read_text() == "a checkout"


def test_what_a_damaged_cache_has_is_replaced(bundle: Path, cache: Path) -> None:
    (cache / "archive").mkdir(parents=True)
    (cache / "archive/aa.deb").write_text("damaged")
    shell(cache, "open_bundle", bundle)
    assert (cache / "archive/aa.deb").read_text() == "a package"


@pytest.mark.parametrize("kept", [0, 1, 82, 83, 84, 5000, -1, -83, -84])
def test_a_truncated_bundle_is_refused_in_one_line(bundle: Path, cache: Path, kept: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:kept])
    done = shell(cache, "open_bundle", bundle)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("carveout: BUNDLE: ")
    assert line.endswith("copy it again")
    assert not cache.exists()


@pytest.mark.parametrize("place", [0, 700, 9000, -1, -2, -40, -83, -200])
def test_a_changed_bundle_is_refused_in_one_line(bundle: Path, cache: Path, place: int) -> None:
    content = bytearray(bundle.read_bytes())
    content[place] ^= 1
    bundle.write_bytes(content)
    done = shell(cache, "open_bundle", bundle)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("carveout: BUNDLE: ")
    assert str(bundle) in line
    assert "copy it again" in line
    assert not cache.exists()


def test_no_file_is_no_bundle(tmp_path: Path, cache: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        done = shell(cache, "open_bundle", path)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.endswith(f"wanted a bundle, found no file {path} that can be read")


def test_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for name, mode in (("first", 0o700), ("second", 0o755)):
        (tmp_path / name).write_text("content")
        (tmp_path / name).chmod(mode)
        write_bundle(tmp_path / f"{name}.tar", {"bundle/a": tmp_path / name})
    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()
    with tarfile.open(tmp_path / "first.tar") as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.mode, member.mtime, member.uid) == ("bundle/a", 0o755, 0, 0)


def test_a_link_to_the_same_file_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write_bundle(tmp_path / "made.tar", {name: tmp_path / name for name in ("a", "b")})
    with tarfile.open(tmp_path / "made.tar") as archive:
        assert [member.isfile() and member.size for member in archive] == [7, 7]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"own_kernels": {"mine": {}}}, "key own_kernels: .*found mine"),
        ({"strategy_folders": ["/elsewhere"]}, "key strategy_folders: .*found /elsewhere"),
        ({"load_folders": ["config", "../x"]}, "key load_folders: .*found ../x"),
        ({"qemu": "/opt/qemu"}, "key qemu: .*found /opt/qemu; name qemu-system-aarch64, or.*other"),
    ],
)
def test_a_config_that_names_what_lies_elsewhere_is_refused(
    change: dict[str, Any], words: str
) -> None:
    check_config(CONFIG, ["other"])
    check_config(CONFIG | {"qemu": "other", "load_folders": ["tests/guest/loads"]}, ["other"])
    with pytest.raises(CarveoutError, match=words):
        check_config(CONFIG | change, ["other"])


def test_what_is_not_committed_is_not_bundled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", *name, "commit", "--quiet", "--allow-empty", "-m", "first"], check=True)
    assert len(committed_revision()) == 40
    (tmp_path / "new").touch()
    with pytest.raises(CarveoutError, match=r"git status has '\?\? new'; commit the changes"):
        committed_revision()


def test_an_unpacked_qemu_and_a_built_kernel_go_in_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = {QEMU_PROGRAM: host_program("bash"), **libc_files("bash")}
    program = made_deb(tmp_path, "qemu-system-arm", files, architecture="amd64")
    monkeypatch.setattr(emulators, "with_dependencies", lambda package: [package])
    pinned = PackageSet({"program": program})
    lock = Lock({"qemus.other": Entry(pinned, program.version)})
    root = emulators.unpacked([program]).root
    found = made_files(lock, [])
    place = f"cache/qemus/{root.name}/{QEMU_PROGRAM}"
    assert found[place] == root / QEMU_PROGRAM
    assert f"{place}.elf" in found
    folder, kernel = tmp_path / "carveout/built/aa", tmp_path / "carveout/kernels/bb"
    for path in (folder, kernel):
        path.mkdir(parents=True)
        (path / "Image").touch()
    for path, wanted in ((folder, {"cache/built/aa/Image"}), (kernel, set())):
        monkeypatch.setattr(
            contents, "unpacked_kernel", lambda _, root=path: Kernel("6.12", 4096, root)
        )
        assert made_files(Lock({}), [tmp_path / "kernel.json"]).keys() == wanted


def entry(version: str, *, pinned: str = "1", tool: str = "1") -> Entry:
    """An entry of a lock, of one package and one tool."""
    package = Package("busybox", version, "arm64", version * 64, ("made",))
    return Entry(PackageSet({"busybox": package}), pinned, [replace(package, version=tool)])


def opened(folder: Path) -> Path:
    """The folder of an open bundle."""
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"results": str(folder / "results")}))
    Lock({"guest": entry("1"), "qemus.other": entry("2")}).write(folder / "lock.yaml")
    (folder / "revision").write_text("ab" * 20 + "\n")
    return folder


def test_a_rerun_begins_with_the_bundles_lock_but_never_replaces_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = opened(tmp_path / "open")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "REVISION").write_text("ab" * 20 + "\n")
    assert git_revision() == "ab" * 6
    stamp = folder / "results/lock.sha256"
    stamp.parent.mkdir()
    stamp.write_text("of a lock that was removed")
    assert prepare(folder) == folder / "config.yaml"
    lock = folder / "results/lock.yaml"
    assert lock.read_bytes() == (folder / "lock.yaml").read_bytes()
    assert not stamp.exists()
    # As the run itself writes it, with what another config has used.
    of_run = {"guest": entry("1", pinned="3", tool="4"), "qemus.other": entry("2")}
    Lock({**of_run, "kernels.more": entry("5")}).write(lock)
    stamp.write_text("of that run")
    kept = lock.read_bytes()
    prepare(folder)
    assert lock.read_bytes() == kept
    assert stamp.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("of_folder", "named"),
    [
        ({"guest": "3", "qemus.other": "2"}, "guest"),
        ({"guest": "1"}, "qemus.other"),
        ({}, "guest, qemus.other"),
    ],
)
def test_a_results_folder_of_other_packages_than_the_bundles_is_refused(
    tmp_path: Path, of_folder: dict[str, str], named: str
) -> None:
    folder = opened(tmp_path / "open")
    lock = folder / "results/lock.yaml"
    Lock({key: entry(version) for key, version in of_folder.items()}).write(lock)
    kept = lock.read_bytes()
    with pytest.raises(CarveoutError) as raised:
        prepare(folder)
    assert str(raised.value) == (
        f"{lock}: wanted the packages of the bundle, found others or none for {named}; move "
        f"{lock.parent} elsewhere to keep what is in it, or remove lock.yaml to make it anew with "
        "the bundle's packages"
    )
    assert lock.read_bytes() == kept


def test_a_checkout_of_another_revision_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(opened(tmp_path / "open"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "the bundle is of revision abababababab, this checkout is " in line


def test_no_open_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CarveoutError, match="wanted a bundle there; open one with: make BUNDLE="):
        prepare(tmp_path)


def test_a_compiler_that_made_other_bytes_than_the_images_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "qemu_version", lambda _: "1.0")
    compiler = tmp_path / "tools/usr/bin/aarch64-linux-gnu-gcc"
    compiler.parent.mkdir(parents=True)
    compiler.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nprintf newer >"$2"\n')
    compiler.chmod(0o755)
    same, other = tmp_path / "same.cpio", tmp_path / "other.cpio"
    same.write_bytes(b"init newer busybox")
    other.write_bytes(b"init older busybox")
    tool = [tmp_path / "tool.c"]
    pack.check_tools(tmp_path / "tools", tool, tmp_path, [same])
    with pytest.raises(CarveoutError, match=r"the compiler that made the tool in .*other\.cpio"):
        pack.check_tools(tmp_path / "tools", tool, tmp_path, [same, other])
