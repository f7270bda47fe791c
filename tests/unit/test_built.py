# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from source: a made source, whose Makefile makes what the kernel's would."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from carveout.archive.lockfile import Lock
from carveout.archive.package import PackageSet
from carveout.archive.pins import Pins
from carveout.common.errors import CarveoutError
from carveout.common.schemas import write_sealed
from carveout.kernels.kernel import describe_kernel, packaged, unpacked_kernel
from carveout.machines.lock import make_lock
from tests.unit.made_kernels import CONFIG, RELEASE, SOURCE, source_archive_of
from tests.unit.made_packages import arm64_image, made_deb, write_pins

# Adds a line to the made head of an Image.
PATCH = """\
SPDX-License-Identifier: GPL-2.0-only

--- a/Kconfig
+++ b/Kconfig
@@ -0,0 +1 @@
+config A
--- a/arch/arm64/Makefile
+++ b/arch/arm64/Makefile
@@ -0,0 +1 @@
+# patched
"""

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def source(tmp_path: Path) -> PackageSet:
    """A package of the made source, in the cache."""
    tree = {"usr/src/linux-source-6.12.tar.xz": source_archive_of(SOURCE)}
    deb = made_deb(tmp_path, "linux-source-6.12", tree, version="6.12.9-1", architecture="all")
    return PackageSet({"source": deb})


def described(
    folder: Path,
    source: PackageSet,
    config: str = CONFIG,
    patches: Mapping[str, str] | None = None,
) -> Path:
    """The file that describes a built kernel, in its results folder."""
    path = folder / "results/kernels/made/kernel.json"
    origin = packaged(source, config, patches)
    content = describe_kernel("made", 4096, origin, "6.12.8-1", "made.yaml: made")
    write_sealed(path, content)
    return path


def test_a_built_kernel_has_all_that_an_unpacked_one_has(
    tmp_path: Path, source: PackageSet
) -> None:
    kernel = unpacked_kernel(described(tmp_path, source))
    assert (kernel.release, kernel.page_bytes) == (RELEASE, 4096)
    assert kernel.image.read_bytes().startswith(arm64_image())
    assert (kernel.modules / "modules.builtin").read_text() == "kernel/built_in.ko\n"
    assert (kernel.modules / "kernel/drivers/loose.ko").exists()
    assert (kernel.headers / "Makefile").exists()
    assert kernel.headers_common == kernel.headers


def test_nothing_of_who_built_it_or_when_is_in_it(tmp_path: Path, source: PackageSet) -> None:
    kernel = unpacked_kernel(described(tmp_path, source))
    assert b"carveout Thu Jan  1 00:00:00 UTC 1970" in kernel.image.read_bytes()


def test_a_kernel_is_built_once_for_each_config(tmp_path: Path, source: PackageSet) -> None:
    first = unpacked_kernel(described(tmp_path, source)).root
    again = unpacked_kernel(described(tmp_path, source, f"{CONFIG}# other words\n")).root
    other = unpacked_kernel(described(tmp_path, source, f"{CONFIG}CONFIG_C=y\n")).root
    assert first == again
    assert first != other


def test_the_last_word_on_an_option_counts(tmp_path: Path, source: PackageSet) -> None:
    config = f"{CONFIG}CONFIG_A=m\n"
    image = unpacked_kernel(described(tmp_path, source, config)).image.read_bytes()
    assert b"CONFIG_A=m" in image
    assert b"CONFIG_A=y" not in image


def test_patches_are_applied_in_their_order_and_make_another_kernel(
    tmp_path: Path, source: PackageSet
) -> None:
    second = PATCH.partition("--- a/arch")[0].replace("+config A", " config A\n+config B")
    second = second.replace("0,0 +1", "1 +1,2")
    plain = unpacked_kernel(described(tmp_path, source)).root
    one = unpacked_kernel(described(tmp_path, source, patches={"one": PATCH})).root
    two = unpacked_kernel(described(tmp_path, source, patches={"one": PATCH, "two": second})).root
    assert len({plain, one, two}) == 3
    description = json.loads(described(tmp_path, source, patches={"one": PATCH}).read_text())
    assert description["patches"] == [{"name": "one", "content": PATCH}]
    with pytest.raises(CarveoutError, match=r"with the patch config/kernels/two.patch, which does"):
        described(tmp_path, source, patches={"two": second, "one": PATCH})


def test_patch_that_does_not_apply_is_one_line_and_nothing_is_left(
    tmp_path: Path, cache: Path, source: PackageSet
) -> None:
    patch = PATCH.replace("@@ -0,0 +1 @@\n+# patched", "@@ -1 +1 @@\n-# absent\n+# patched")
    with pytest.raises(CarveoutError) as error:
        described(tmp_path, source, patches={"other": patch})
    said = str(error.value)
    assert "\n" not in said
    assert "linux-source-6.12 6.12.9-1" in said
    assert "config/kernels/other.patch, which does not apply" in said
    assert "patching file arch/arm64/Makefile Hunk #1 FAILED at 1.; make" in said
    assert list((cache / "built").iterdir()) == []


def test_lost_cache_is_built_again_from_the_description(tmp_path: Path, source: PackageSet) -> None:
    description = described(tmp_path, source)
    kernel = unpacked_kernel(description)
    image = kernel.image.read_bytes()
    shutil.rmtree(kernel.root)
    assert unpacked_kernel(description).image.read_bytes() == image


@pytest.mark.parametrize("option", ["CONFIG_REFUSED=y", "CONFIG_REFUSED_TOO=m"])
def test_option_that_kconfig_refuses_is_named_and_nothing_is_left(
    tmp_path: Path, cache: Path, source: PackageSet, option: str
) -> None:
    with pytest.raises(CarveoutError, match=f"wanted {option}, which Kconfig refuses"):
        described(tmp_path, source, f"{CONFIG}{option}\n")
    assert list((cache / "built").iterdir()) == []


def test_source_without_an_archive_is_refused(tmp_path: Path) -> None:
    deb = made_deb(tmp_path, "linux-source-6.12", {"usr/src/README": b""}, architecture="all")
    with pytest.raises(CarveoutError, match="wanted one archive in it, found 0"):
        described(tmp_path, PackageSet({"source": deb}))


def pins_of(folder: Path, source: PackageSet) -> Pins:
    """Pins of a kernel that is built from two fragments."""
    busybox = PackageSet({"busybox": made_deb(folder, "busybox-static", {"bin/busybox": b""})})
    program = PackageSet({"program": made_deb(folder, "qemu", {"usr/bin/qemu": b""})})
    paths = write_pins(folder, {"made": source}, busybox, {"other": program})
    text = paths[0].read_text()
    paths[0].write_text(text.replace("page_bytes", "config: [base, more]\n    page_bytes", 1))
    (folder / "kernels").mkdir()
    for name, content in {"base": "CONFIG_A=y\n", "more": "CONFIG_B=y\n"}.items():
        (folder / f"kernels/{name}.config").write_text(content)
    return Pins.read(*paths)


def test_fragments_are_read_in_their_order(tmp_path: Path, source: PackageSet) -> None:
    assert pins_of(tmp_path, source).built_with("made") == "CONFIG_A=y\nCONFIG_B=y\n"


def test_patches_of_a_kernel_are_read_in_their_order(tmp_path: Path, source: PackageSet) -> None:
    pins_of(tmp_path, source)
    path = tmp_path / "kernels.yaml"
    path.write_text(path.read_text().replace("    config:", "    patches: [bb, aa]\n    config:"))
    for name in ("aa", "bb"):
        (tmp_path / f"kernels/{name}.patch").write_text(f"of {name}\n")
    pins = Pins.read(path, tmp_path / "qemus.yaml")
    assert list(pins.patched_with("made").items()) == [("bb", "of bb\n"), ("aa", "of aa\n")]
    (tmp_path / "kernels/aa.patch").unlink()
    with pytest.raises(CarveoutError, match=r"kernels/aa.patch: wanted for kernel made"):
        pins.patched_with("made")


def test_missing_fragment_is_named(tmp_path: Path, source: PackageSet) -> None:
    pins = pins_of(tmp_path, source)
    (tmp_path / "kernels/more.config").unlink()
    with pytest.raises(CarveoutError, match=r"kernels/more.config: wanted for kernel made"):
        pins.built_with("made")


def test_locking_a_source_builds_nothing(tmp_path: Path, cache: Path, source: PackageSet) -> None:
    digest = source.packages["source"].sha256
    lock = make_lock(Lock({}), pins_of(tmp_path, source), names=["made"], qemu="qemu", exact=False)
    assert lock.entries["kernels.made"].used.packages["source"].sha256 == digest
    assert not (cache / "built").exists()
