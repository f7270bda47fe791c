# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built from source: a made source, whose Makefile makes what the kernel's would."""

import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from carveout.archive.lockfile import Lock
from carveout.archive.package import PackageSet
from carveout.archive.pins import Pins
from carveout.common.errors import CarveoutError
from carveout.machines import kernels
from carveout.machines.lock import make_lock
from tests.unit.made_packages import arm64_image, made_deb, write_pins

RELEASE = "6.12.9-made"
CONFIG = "# a comment\nCONFIG_A=y\n\nCONFIG_B=n\n"
# Kconfig grants all but CONFIG_REFUSED; the image says who is said to have built it.
MAKEFILE = f"""
allnoconfig:
	grep -v -e REFUSED -e '=n$$' $(KCONFIG_ALLCONFIG) >.config
Image: .config
	mkdir -p arch/arm64/boot include/config
	cat head .config >arch/arm64/boot/Image
	echo "$$KBUILD_BUILD_USER $$KBUILD_BUILD_TIMESTAMP" >>arch/arm64/boot/Image
	echo {RELEASE} >include/config/kernel.release
	echo kernel/built_in.ko >modules.builtin
modules: .config
	mkdir -p drivers && echo a module >drivers/loose.ko
"""
INSTALL = 'mkdir -p "$1" && cp Makefile "$1" && [ "$CC" = "$HOSTCC" ]\n'

pytestmark = pytest.mark.usefixtures("cache")


def source_of(files: Mapping[str, bytes]) -> bytes:
    """An archive with files in one folder, as Debian has the kernel's source."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"linux-source-6.12/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> PackageSet:
    """A package of the made source, in the cache."""
    files = {
        "Makefile": MAKEFILE.encode(),
        "head": arm64_image(),
        "scripts/package/install-extmod-build": INSTALL.encode(),
    }
    tree = {"usr/src/linux-source-6.12.tar.xz": source_of(files)}
    deb = made_deb(tmp_path, "linux-source-6.12", tree, version="6.12.9-1", architecture="all")
    return PackageSet({"source": deb})


def described(folder: Path, source: PackageSet, config: str = CONFIG) -> Path:
    """The file that describes a built kernel, in its results folder."""
    path = folder / "results/kernels/made/kernel.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = kernels.describe_kernel("made", 4096, source, "6.12.8-1", config)
    path.write_text(json.dumps(content))
    return path


def test_a_built_kernel_has_all_that_an_unpacked_one_has(
    tmp_path: Path, source: PackageSet
) -> None:
    kernel = kernels.unpacked_kernel(described(tmp_path, source))
    assert (kernel.release, kernel.page_bytes) == (RELEASE, 4096)
    assert kernel.image.read_bytes().startswith(arm64_image())
    assert (kernel.modules / "modules.builtin").read_text() == "kernel/built_in.ko\n"
    assert (kernel.modules / "kernel/drivers/loose.ko").exists()
    assert (kernel.headers / "Makefile").exists()
    assert kernel.headers_common == kernel.headers


def test_nothing_of_who_built_it_or_when_is_in_it(tmp_path: Path, source: PackageSet) -> None:
    kernel = kernels.unpacked_kernel(described(tmp_path, source))
    assert b"carveout Thu Jan  1 00:00:00 UTC 1970" in kernel.image.read_bytes()


def test_a_kernel_is_built_once_for_each_config(tmp_path: Path, source: PackageSet) -> None:
    first = kernels.unpacked_kernel(described(tmp_path, source)).root
    again = kernels.unpacked_kernel(described(tmp_path, source, f"{CONFIG}# other words\n")).root
    other = kernels.unpacked_kernel(described(tmp_path, source, f"{CONFIG}CONFIG_C=y\n")).root
    assert first == again
    assert first != other


def test_the_last_word_on_an_option_counts(tmp_path: Path, source: PackageSet) -> None:
    config = f"{CONFIG}CONFIG_A=m\n"
    image = kernels.unpacked_kernel(described(tmp_path, source, config)).image.read_bytes()
    assert b"CONFIG_A=m" in image
    assert b"CONFIG_A=y" not in image


def test_lost_cache_is_built_again_from_the_description(tmp_path: Path, source: PackageSet) -> None:
    description = described(tmp_path, source)
    kernel = kernels.unpacked_kernel(description)
    image = kernel.image.read_bytes()
    shutil.rmtree(kernel.root)
    assert kernels.unpacked_kernel(description).image.read_bytes() == image


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
