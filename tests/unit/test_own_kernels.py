# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of the user's own: trees and built kernels of a few bytes."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carveout.common import schemas
from carveout.common.errors import CarveoutError
from carveout.common.schemas import write_sealed
from carveout.kernels import own
from carveout.kernels.kernel import Kernel, describe_kernel, unpacked_kernel
from carveout.kernels.trees import tree_digest
from tests.unit.made_kernels import CONFIG, RELEASE, SOURCE, WHOLE_CONFIG, made_out, write_files
from tests.unit.made_packages import arm64_image

pytestmark = pytest.mark.usefixtures("cache")


def read(entry: dict[str, Any], name: str = "mine") -> own.OwnKernel:
    """The kernel of an entry of `own_kernels`."""
    config = {"own_kernels": {name: {"page_bytes": 4096, **entry}}}
    return own.read_own_kernels(config, "mine.yaml", ["debian-6.12"])[name]


def taken(folder: Path, kernel: own.OwnKernel) -> Kernel:
    """The kernel, taken as a job of the workflow takes it, and found again as another does."""
    path = folder / "results/kernels/mine/kernel.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = own.from_words(own.to_words(kernel))
    origin = own.take("mine", kernel, kernel.content_digest, path)
    content = describe_kernel("mine", kernel.page_bytes, origin, origin.version, kernel.where)
    write_sealed(path, content)
    assert str(folder) not in path.read_text()
    return unpacked_kernel(path)


def git(tree: Path, *words: str) -> None:
    """Runs git in a tree."""
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", *who, *words], cwd=tree, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A plain source tree, with a build product in it."""
    products = dict.fromkeys(("mm/page_alloc.o", ".config", "include/config/auto.conf"), b"built")
    files = {**SOURCE, "mm/page_alloc.c": b"", **products}
    return write_files(tmp_path / "linux", files)


@pytest.fixture
def git_tree(tree: Path) -> Path:
    """The same in git."""
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "all")
    return tree


@pytest.fixture
def entry(tmp_path: Path, tree: Path) -> dict[str, Any]:
    """An entry of `own_kernels` with the tree."""
    (tmp_path / "mine.config").write_text(CONFIG)
    return {"tree": str(tree), "config": [str(tmp_path / "mine.config")]}


def test_a_tree_is_built_and_never_written_to(
    tmp_path: Path, tree: Path, entry: dict[str, Any]
) -> None:
    for path in [tree, *tree.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    before = sorted(tree.rglob("*"))
    kernel = taken(tmp_path, read(entry))
    assert (kernel.release, kernel.page_bytes) == (RELEASE, 4096)
    assert b"CONFIG_A=y" in kernel.image.read_bytes()
    assert (kernel.modules / "kernel/drivers/loose.ko").exists()
    assert (kernel.headers / "Makefile").exists()
    assert sorted(tree.rglob("*")) == before
    for path in [tree, *tree.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def test_git_tree_and_plain_folder_of_the_same_files_are_one_kernel(git_tree: Path) -> None:
    digest = tree_digest(git_tree)
    shutil.rmtree(git_tree / ".git")
    assert tree_digest(git_tree) == digest


def _edit(tree: Path) -> None:
    (tree / "mm/page_alloc.c").write_text("int x;\n")


def _add(tree: Path) -> None:
    (tree / "mm/new.c").write_text("")


def _remove(tree: Path) -> None:
    (tree / "mm/page_alloc.c").unlink()


def _make_executable(tree: Path) -> None:
    (tree / "mm/page_alloc.c").chmod(0o755)


def _link(tree: Path) -> None:
    (tree / "link").symlink_to("head")


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("change", [_edit, _add, _remove, _make_executable, _link])
def test_uncommitted_change_is_another_kernel_and_its_commit_is_none(
    git_tree: Path, change: Callable[[Path], None], *, plain: bool
) -> None:
    before = tree_digest(git_tree)
    change(git_tree)
    after = tree_digest(git_tree)
    assert after != before
    if plain:
        shutil.rmtree(git_tree / ".git")
    else:
        git(git_tree, "add", "--all")
        assert tree_digest(git_tree) == after
        git(git_tree, "commit", "--quiet", "--message", "change")
    assert tree_digest(git_tree) == after


def test_build_products_and_time_stamps_are_no_change(git_tree: Path) -> None:
    before = tree_digest(git_tree)
    (git_tree / "mm/other.o").write_text("built")
    os.utime(git_tree / "mm/page_alloc.c", (1, 1))
    assert tree_digest(git_tree) == before


def test_index_of_a_git_tree_is_not_written(git_tree: Path) -> None:
    os.utime(git_tree / "mm/page_alloc.c", (1, 1))
    before = (git_tree / ".git/index").read_bytes()
    tree_digest(git_tree)
    assert (git_tree / ".git/index").read_bytes() == before


def test_fragments_have_names_or_paths_and_the_last_word_counts(
    tmp_path: Path, entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, {"config/kernels/base.config": b"CONFIG_A=m\nCONFIG_C=y\n"})
    monkeypatch.chdir(tmp_path)
    image = taken(tmp_path, read({**entry, "config": ["base", "./mine.config"]})).image
    assert b"CONFIG_A=y" in image.read_bytes()
    assert b"CONFIG_C=y" in image.read_bytes()


def test_whole_config_is_changed_by_what_follows_it(tmp_path: Path, entry: dict[str, Any]) -> None:
    (tmp_path / "whole").write_text(WHOLE_CONFIG)
    (tmp_path / "mine.config").write_text("CONFIG_A=y\n# CONFIG_B is not set\n")
    config = [str(tmp_path / "whole"), *entry["config"]]
    image = taken(tmp_path, read({**entry, "config": config})).image.read_bytes()
    assert b"CONFIG_WHOLE=y" in image
    assert b"CONFIG_A=y" in image
    with pytest.raises(CarveoutError, match=r"config: wanted a whole .config first, found one"):
        taken(tmp_path, read({**entry, "config": config[::-1]}))


def test_a_built_kernel_is_copied_without_what_no_module_needs(tmp_path: Path) -> None:
    kernel = taken(tmp_path, read(made_out(tmp_path / "out")))
    shutil.rmtree(tmp_path / "out")
    assert kernel.image.read_bytes().startswith(arm64_image())
    files = {
        str(path.relative_to(kernel.root / "usr"))
        for path in kernel.root.rglob("*")
        if path.is_file() and path.parent != kernel.root
    }
    headers = f"src/linux-headers-{RELEASE}"
    assert files == {
        f"lib/modules/{RELEASE}/modules.builtin",
        f"lib/modules/{RELEASE}/kernel/loose.ko",
        f"{headers}/Makefile",
        f"{headers}/Module.symvers",
        f"{headers}/arch/arm64/Makefile",
        f"{headers}/arch/arm64/include/asm/page.h",
        f"{headers}/include/config/kernel.release",
        f"{headers}/include/generated/autoconf.h",
        f"{headers}/scripts/mod/modpost",
    }


def test_gzipped_image_is_unpacked(tmp_path: Path) -> None:
    entry = made_out(tmp_path / "out")
    image = Path(entry["image"])
    image.write_bytes(gzip.compress(image.read_bytes()))
    assert taken(tmp_path, read(entry)).image.read_bytes().startswith(arm64_image())


@pytest.mark.parametrize(
    "name", ["Image", f"lib/modules/{RELEASE}/kernel/loose.ko", "headers/Module.symvers"]
)
def test_change_of_a_built_kernel_is_another_one(tmp_path: Path, name: str) -> None:
    entry = made_out(tmp_path / "out")
    before = read(entry).content_digest
    with (tmp_path / "out" / name).open("ab") as stream:
        stream.write(b"more")
    assert read(entry).content_digest != before


def test_kernel_that_the_cache_lost_is_one_line_that_says_what_to_do(
    tmp_path: Path, cache: Path
) -> None:
    taken(tmp_path, read(made_out(tmp_path / "out")))
    shutil.rmtree(cache / "own")
    path = tmp_path / "results/kernels/mine/kernel.json"
    with pytest.raises(CarveoutError, match=r"in the cache, found none; remove that file") as error:
        unpacked_kernel(path)
    assert str(error.value).startswith(f"{path}: wanted the kernel mine")


def test_kernel_that_changed_since_the_run_began_is_refused(tmp_path: Path) -> None:
    entry = made_out(tmp_path / "out")
    digest = read(entry).content_digest
    Path(entry["image"]).write_bytes(Path(entry["image"]).read_bytes() + b"more")
    with pytest.raises(CarveoutError, match="have changed meanwhile; run again"):
        own.take("mine", read(entry), digest, tmp_path / "kernel.json")


def _spoil(**changes: str) -> Callable[[dict[str, str], Path], None]:
    def change(entry: dict[str, str], _: Path) -> None:
        entry.update(changes)

    return change


def _overwrite(name: str, content: bytes) -> Callable[[dict[str, str], Path], None]:
    def change(_: dict[str, str], folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_spoil(image="/nowhere/Image"), r"mine: wanted files .*found /nowhere/Image: No such"),
        (_spoil(modules="/nowhere"), r"mine.modules: wanted a folder 6.12.9-made.*no folder /now"),
        (_spoil(headers="/nowhere"), r"mine.headers: wanted a folder with .*found none in /nowher"),
        (_overwrite("Image", b"MZ" + bytes(100)), r"mine.image: wanted an arm64 Image"),
        (_overwrite("Image", b"\x1f\x8b"), r"mine: wanted files that can be read"),
        (
            _overwrite("Image", gzip.compress(bytes(99))[:12] + b"no deflate"),
            r"mine: wanted files that can be read",
        ),
        (
            _overwrite("headers/include/config/kernel.release", b"6.12.\xff"),
            r"mine: wanted files that can be read",
        ),
        (
            _overwrite("Image", arm64_image(3)),
            "mine: wanted page_bytes 4096 as stated, the image has 65536",
        ),
        (
            _overwrite("Image", arm64_image() + b"Linux version 6.1.1 ("),
            "mine.image: wanted an Image of 6.12.9-made, of which the headers are, found 6.1.1",
        ),
        (
            _overwrite("headers/include/config/kernel.release", b"6.1.1\n"),
            "mine.modules: wanted a folder 6.1.1, of which the headers are",
        ),
        (
            _overwrite("headers/scripts/mod/modpost", b"\x7fELF" + b"\0" * 14 + b"\x28\0"),
            r"mine.headers: wanted programs for this machine .*modpost",
        ),
    ],
)
def test_built_kernel_that_is_none_is_one_line(
    tmp_path: Path, spoil: Callable[[dict[str, str], Path], None], said: str
) -> None:
    entry = made_out(tmp_path / "out")
    spoil(entry, tmp_path / "out")
    with pytest.raises(CarveoutError, match=said) as error:
        taken(tmp_path, read(entry))
    assert str(error.value).startswith("mine.yaml: key own_kernels.mine")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "tree",
            "/nowhere",
            r"mine.tree: wanted a kernel's source tree, found no Makefile in",
        ),
        ("config", ["nosuch"], r"mine.config: wanted .*found .*config/kernels/nosuch.config: No s"),
        ("config", ["/nowhere/x"], r"mine.config: wanted .*found /nowhere/x: No such file"),
    ],
)
def test_tree_that_is_none_is_one_line(
    entry: dict[str, Any], key: str, value: Any, said: str
) -> None:
    with pytest.raises(CarveoutError, match=said) as error:
        assert read({**entry, key: value}).content_digest
    assert str(error.value).startswith("mine.yaml: key own_kernels.mine")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("CONFIG_REFUSED=y", "mine: wanted CONFIG_REFUSED=y, which Kconfig refuses"),
        ("CONFIG_BROKEN=y", "could not build mine.yaml: key own_kernels.mine: a.c: error: broken"),
    ],
)
def test_tree_that_does_not_build_is_one_line_and_nothing_is_left(
    tmp_path: Path, cache: Path, entry: dict[str, Any], option: str, said: str
) -> None:
    (tmp_path / "mine.config").write_text(f"{option}\n")
    with pytest.raises(CarveoutError, match=said) as error:
        taken(tmp_path, read(entry))
    assert "\n" not in str(error.value)
    assert list((cache / "own").iterdir()) == []


def test_tree_of_another_page_size_is_refused(tmp_path: Path, entry: dict[str, Any]) -> None:
    with pytest.raises(CarveoutError, match="mine: wanted page_bytes 16384 as stated, the image"):
        taken(tmp_path, read({**entry, "page_bytes": 16384}))


def test_name_of_a_pinned_kernel_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(CarveoutError, match=r"own_kernels.debian-6.12: wanted a name of its own"):
        read(entry, name="debian-6.12")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"page_bytes": 4096}, "'image' is a required property"),
        ({"page_bytes": 4096, "tree": "x"}, "'config' is a required property"),
        ({"page_bytes": 4096, "tree": "x", "config": ["a"], "image": "y"}, "unknown key image"),
        ({"page_bytes": 1, "tree": "x", "config": ["a"]}, "1 is not one of"),
    ],
)
def test_wrong_entry_is_named(entry: dict[str, Any], said: str) -> None:
    config = schemas.load_yaml(Path("config/smoke.yaml")) | {"own_kernels": {"mine": entry}}
    with pytest.raises(CarveoutError, match=f"key own_kernels.mine.*{said}"):
        schemas.check(config, "config", "mine.yaml")
