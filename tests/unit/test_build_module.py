# SPDX-License-Identifier: GPL-2.0-only
"""Our module in the cache: built once for what it is made of, never taken when damaged."""

from pathlib import Path

import pytest

from carveout.common.errors import CarveoutError
from carveout.initramfs import build_module as building
from carveout.kernels.kernel import Kernel


class Built:
    """A folder of sources, a kernel, and how often the module was built of them."""

    def __init__(self, folder: Path) -> None:
        self.source, self.include = folder / "module", folder / "include"
        self.cache = folder / "cache"
        for path in (self.source / "main.c", self.include / "uapi.h"):
            path.parent.mkdir()
            path.write_text(f"/* {path.name} */\n")
        self.kernel = Kernel("6.12.9", 4096, folder / "0123")
        self.times = 0

    def compile(self, kernel: Kernel, source: Path, includes: list[Path], _: Path) -> bytes:
        """Stands for the compiler: the module is its sources."""
        self.times += 1
        texts = [path.read_text() for of in (source, *includes) for path in sorted(of.iterdir())]
        return (kernel.root.name + "".join(texts)).encode()

    def build(self) -> bytes:
        """What is built, or taken from the cache."""
        return building.build_module(self.kernel, self.source, [self.include])


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    made = Built(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.cache))
    monkeypatch.setattr(building, "_built_module", made.compile)
    monkeypatch.setattr(building, "run_program", lambda *_: "a compiler")
    return made


def test_what_is_the_same_is_built_once(built: Built) -> None:
    assert built.build() == built.build()
    assert built.times == 1


@pytest.mark.parametrize("changed", ["main.c", "uapi.h", "new.h", "kernel", "compiler"])
def test_whatever_changes_is_built_anew(
    built: Built, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = built.build()
    match changed:
        case "main.c" | "new.h":
            (built.source / changed).write_text("int other;\n")
        case "uapi.h":
            (built.include / changed).write_text("int other;\n")
        case "kernel":
            built.kernel = Kernel("6.12.9", 4096, built.kernel.root.with_name("4567"))
        case "compiler":
            monkeypatch.setattr(building, "run_program", lambda *_: "another")
    after = built.build()
    assert built.times == 2
    assert (after != before) == (changed != "compiler")


def test_a_damaged_module_is_built_anew(built: Built) -> None:
    before = built.build()
    (cached,) = built.cache.glob("carveout/modules/*/module.ko")
    cached.write_text(cached.read_text()[:-1])
    assert built.build() == before == cached.read_bytes()


@pytest.mark.parametrize("sign", [*" :\n#'(=&$%;,~@"])
def test_a_cache_in_which_make_builds_nothing_is_named(tmp_path: Path, sign: str) -> None:
    kernel = Kernel("6.12.9", 4096, tmp_path / f"a{sign}b")
    (tmp_path / "module").mkdir()
    with pytest.raises(CarveoutError, match="XDG_CACHE_HOME: wanted a path of letters"):
        building.build_module(kernel, tmp_path / "module", [])
