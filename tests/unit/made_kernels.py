# SPDX-License-Identifier: GPL-2.0-only
"""A source tree of a few files, whose Makefile makes what the kernel's would, and built kernels."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.unit.made_packages import arm64_image

RELEASE = "6.12.9-made"
CONFIG = "# a comment\nCONFIG_A=y\n\nCONFIG_B=n\n"
WHOLE_CONFIG = "#\n# Automatically generated file; DO NOT EDIT.\nCONFIG_WHOLE=y\nCONFIG_A=m\n"
# Kconfig grants all but CONFIG_REFUSED; the image says who is said to have built it.
MAKEFILE = f"""
allnoconfig:
	sed -e /REFUSED/d -e '/=n$$/d' $(KCONFIG_ALLCONFIG) >.config
olddefconfig:
	sed -e /REFUSED/d .config >.config.new && tac .config.new | sort -u -t= -k1,1 >.config
mrproper:
	rm -f .config
Image: .config
	mkdir -p arch/arm64/boot include/config
	cat head .config >arch/arm64/boot/Image
	echo "$$KBUILD_BUILD_USER $$KBUILD_BUILD_TIMESTAMP" >>arch/arm64/boot/Image
	echo {RELEASE} >include/config/kernel.release
	echo kernel/built_in.ko >modules.builtin
modules: .config
	grep -v BROKEN .config >/dev/null || {{ echo 'a.c: error: broken' >&2; exit 1; }}
	mkdir -p drivers && echo a module >drivers/loose.ko
"""
INSTALL = 'mkdir -p "$1" && cp Makefile "$1" && [ "$CC" = "$HOSTCC" ]\n'
SOURCE = {
    "Makefile": MAKEFILE.encode(),
    "Kconfig": b"",
    ".gitignore": b"*.o\n.config\n/include/config/\n",
    "arch/arm64/Makefile": b"",
    "head": arm64_image(),
    "scripts/package/install-extmod-build": INSTALL.encode(),
}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder and return it."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def source_archive_of(files: Mapping[str, bytes]) -> bytes:
    """An archive with files in one folder, as Debian has the kernel's source."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"linux-source-6.12/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def made_out(folder: Path, *, release: str = RELEASE, page_flag: int = 1) -> dict[str, str]:
    """A built kernel as a user has it: what the keys `image`, `modules` and `headers` say."""
    banner = b"Linux version %s (\0Linux version %s (somebody)" % (b"%s", release.encode())
    modules = f"lib/modules/{release}"
    write_files(
        folder,
        {
            "Image": arm64_image(page_flag) + banner,
            f"{modules}/modules.builtin": b"kernel/built_in.ko\n",
            f"{modules}/kernel/loose.ko": b"a module",
            f"{modules}/modules.dep": b"",
            "headers/Makefile": b"",
            "headers/Module.symvers": b"",
            "headers/include/config/kernel.release": f"{release}\n".encode(),
            "headers/include/generated/autoconf.h": b"#define CONFIG_A 1\n",
            "headers/scripts/mod/modpost": b"#!/bin/sh\n",
            "headers/scripts/mod/modpost.o": b"\x7fELF",
            "headers/arch/arm64/Makefile": b"",
            "headers/arch/arm64/include/asm/page.h": b"",
            "headers/mm/page_alloc.c": b"no header",
            "headers/vmlinux": b"\x7fELF",
        },
    )
    paths = {"image": "Image", "modules": modules, "headers": "headers"}
    return {key: str(folder / path) for key, path in paths.items()}
