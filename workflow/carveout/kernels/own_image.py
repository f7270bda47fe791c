# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that the user has built: an Image with its modules and headers."""

import functools
import platform
import shutil
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of, sha256_of_json
from carveout.kernels.parts import (
    RELEASE,
    check_page_size,
    copy_headers,
    header_files,
    read_image,
    releases_of,
)

_TAKING = 1  # goes up when the way of taking kernels changes
_BUILTIN = "modules.builtin"
_MODPOST = "scripts/mod/modpost"
_HEADERS = (RELEASE, "include/generated/autoconf.h", "Makefile", "Module.symvers", _MODPOST)
_MACHINE_OFFSET = 18  # of an ELF file's e_machine
_MACHINES = {"x86_64": b"\x3e\x00", "aarch64": b"\xb7\x00"}


@dataclass(frozen=True)
class OwnImage:
    """A built kernel.

    Attributes:
        where: the file and key that ask for it, for errors.
        page_bytes: as stated there.
        image: the Image, raw or gzipped.
        modules: the folder of its release below lib/modules.
        headers: what scripts/package/install-extmod-build has written, or the built tree.
    """

    where: str
    page_bytes: int
    image: Path
    modules: Path
    headers: Path
    kind = "image"

    @functools.cached_property
    def content_digest(self) -> str:
        """The digest of all that is taken of the kernel, without any path of this machine.

        Raises:
            CarveoutError: there is no such kernel, or its parts do not fit together.
        """
        try:
            release = self._checked_release()
            held = [_digests(self.modules, self._module_files())]
            held.append(_digests(self.headers, header_files(self.headers)))
            return sha256_of_json([_TAKING, release, sha256_of(self.image), *held])
        except (OSError, EOFError, ValueError, zlib.error) as error:
            named = getattr(error, "filename", None) or self.image
            said = getattr(error, "strerror", None) or str(error)
            raise CarveoutError(
                f"{self.where}: wanted files that can be read, found {named}: {said}"
            ) from error

    def taken(self) -> Path:
        """Return the folder of the cache with what is taken of the kernel, copied now if need be.

        Raises:
            CarveoutError: it changes meanwhile.
        """
        return cached_folder("own", self.content_digest, self._copy, is_large=True)

    def _copy(self, folder: Path) -> None:
        release = self._checked_release()
        (folder / "Image").write_bytes(read_image(self.image, f"{self.where}.image"))
        modules = folder / "usr/lib/modules" / release
        for path in self._module_files():
            copied = modules / path
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.modules / path, copied)
        copy_headers(self.headers, folder / "usr/src" / f"linux-headers-{release}")
        if replace(self).content_digest != self.content_digest:
            raise CarveoutError(
                f"{self.where}: wanted files that rest while they are copied, found that they have "
                "changed; run again"
            )

    def _checked_release(self) -> str:
        """Return the release of the kernel, after a look at whether its parts are of one."""
        for name in _HEADERS:
            if not (self.headers / name).is_file():
                raise CarveoutError(
                    f"{self.where}.headers: wanted a folder with {name}, found none in "
                    f"{self.headers}; name what the kernel's scripts/package/install-extmod-build "
                    "has written, or the folder in which the kernel was built"
                )
        self._check_runs_here(self.headers / _MODPOST)
        release = (self.headers / RELEASE).read_text(encoding="utf-8").strip()
        if not (self.modules / _BUILTIN).is_file() or self.modules.name != release:
            found = self.modules if self.modules.is_dir() else f"no folder {self.modules}"
            raise CarveoutError(
                f"{self.where}.modules: wanted a folder {release}, of which the headers are, with "
                f"{_BUILTIN}, found {found}; name the folder that make modules_install has written"
            )
        image = read_image(self.image, f"{self.where}.image")
        check_page_size(image, self.page_bytes, self.where)
        if (releases := releases_of(image)) != [release]:
            raise CarveoutError(
                f"{self.where}.image: wanted an Image of {release}, of which the headers are, "
                f"found {', '.join(releases) or 'one that says none'}; name what belongs together"
            )
        return release

    def _check_runs_here(self, program: Path) -> None:
        with program.open("rb") as stream:
            head = stream.read(_MACHINE_OFFSET + 2)
        wanted = _MACHINES.get(platform.machine())
        if head.startswith(b"\x7fELF") and wanted not in (None, head[_MACHINE_OFFSET:]):
            raise CarveoutError(
                f"{self.where}.headers: wanted programs for this machine ({platform.machine()}), "
                f"found one for another: {program}; call scripts/package/install-extmod-build with "
                "CC and HOSTCC alike"
            )

    def _module_files(self) -> Iterator[Path]:
        """Yield what is taken of the modules, relative to their folder."""
        yield Path(_BUILTIN)
        for path in sorted(self.modules.rglob("*.ko*")):
            if path.is_file():
                yield path.relative_to(self.modules)


def _digests(folder: Path, names: Iterable[Path]) -> list[tuple[str, str]]:
    """Return files with the digests of what they hold."""
    listed = list(names)
    with ThreadPoolExecutor() as threads:
        digests = threads.map(sha256_of, [folder / name for name in listed])
        return [(str(name), digest) for name, digest in zip(listed, digests, strict=True)]
