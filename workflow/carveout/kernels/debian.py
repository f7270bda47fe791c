# SPDX-License-Identifier: GPL-2.0-only
"""Debian's own kernels: their packages, unpacked in the cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.archive.debs import newest_of
from carveout.archive.foreign import wrap_program
from carveout.archive.package import Package, PackageSet
from carveout.archive.unpacked import Unpacked, unpacked_together
from carveout.kernels.parts import read_image


@dataclass(frozen=True)
class DebianKernel:
    """Where the files of one of Debian's kernels come from: its packages, by their roles."""

    used: PackageSet

    def root(self) -> Path:
        """Return the folder of the cache with its files, unpacked now if the cache lacks them."""
        return self.unpacked().root

    @property
    def version(self) -> str:
        """The version of the packages."""
        return self.used.version

    def to_json(self) -> Mapping[str, Any]:
        """Return what kernel.json says of it, without any path of this machine."""
        return {"packages": [package.to_json() for package in self.used.packages.values()]}

    def unpacked(self) -> Unpacked:
        """Return the packages, unpacked so that kbuild's programs can run here."""
        packages = list(self.used.packages.values())

        def find_tools() -> list[Package]:
            return [newest_of("libc6", "amd64", packages[0].suites, packages[0].pin)]

        def finish(folder: Path) -> None:
            _write_image(folder)
            for program in sorted(folder.glob("usr/lib/linux-kbuild-*/scripts/**/*")):
                if program.is_file() and not program.is_symlink() and _is_program(program):
                    wrap_program(program, folder)

        return unpacked_together("kernels", packages, find_tools, finish, is_large=True)


def _write_image(root: Path) -> None:
    """Put the raw Image at the root; Debian calls it vmlinuz.

    It lies beside the modules where image and modules are packages of their own.
    """
    (vmlinuz,) = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
    (root / "Image").write_bytes(read_image(vmlinuz, vmlinuz.name))
    vmlinuz.unlink()


def _is_program(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"
