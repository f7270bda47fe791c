# SPDX-License-Identifier: GPL-2.0-only
"""Our module in the cache: built once for what it is made of, never taken when damaged."""

from pathlib import Path

import pytest

from carveout.initramfs import build_module as building
from carveout.kernels.kernel import Kernel


class Built:
    """A folder of sources, a kernel, and how often the module was built of them."""

    def __init__(self, folder: Path) -> None:
        self.source, self.include, self.output = (
            folder / name for name in ("module", "include", "carveout.ko")
        )
        for path in (self.source / "main.c", self.include / "uapi.h"):
            path.parent.mkdir()
            path.write_text(f"/* {path.name} */\n")
        self.kernel = Kernel("6.12.9", 4096, folder / "0123")
        self.times = 0

    def compile(self, kernel: Kernel, source: Path, includes: list[Path], folder: Path) -> Path:
        """Stands for the compiler: the module is its sources."""
        self.times += 1
        folder.mkdir()
        texts = [path.read_text() for of in (source, *includes) for path in sorted(of.iterdir())]
        (folder / "carveout.ko").write_text(kernel.root.name + "".join(texts))
        return folder / "carveout.ko"

    def build(self) -> str:
        """What is built, or taken from the cache."""
        building.build_module(self.kernel, self.source, [self.include], self.output)
        return self.output.read_text()


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    made = Built(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
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
    built.build()
    before = built.output.read_bytes()
    (cached,) = (built.output.parent / "cache").glob("carveout/modules/*/module.ko")
    cached.write_text(cached.read_text()[:-1])
    built.build()
    assert built.output.read_bytes() == before == cached.read_bytes()
