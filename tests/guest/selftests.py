# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own selftests, out of its source package: of any version that there is."""

import shutil
import tarfile
from collections.abc import Collection
from pathlib import Path

from carveout.archive.debs import newest_of
from carveout.archive.package import Package
from carveout.archive.pins import read_checked
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of_json
from carveout.kernels.built import source_archive

_KERNELS = Path("config/kernels.yaml")
_SELFTESTS = "tools/testing/selftests"


def put_selftests(names: Collection[str], folder: Path) -> None:
    """Puts files of the kernel's selftests into a folder, by the paths that they have among them.

    Raises:
        CarveoutError: the source package cannot be had, or has no such file.
    """
    lint = read_checked(_KERNELS, "kernels")["lint"]
    source = newest_of(lint["source"], "all", lint["suites"], f"{_KERNELS}: lint.source")
    digest = sha256_of_json([source.sha256, sorted(names)])
    taken = cached_folder("selftests", digest, lambda cached: _take(source, names, cached))
    shutil.copytree(taken, folder)


def _take(source: Package, names: Collection[str], folder: Path) -> None:
    missing = {f"{_SELFTESTS}/{name}": folder / name for name in names}
    with source_archive(source) as tree, tarfile.open(tree) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            stream = archive.extractfile(member) if name in missing else None
            if stream is not None:
                path = missing.pop(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(stream.read())
            if not missing:
                return  # the rest of a gigabyte need not be decompressed
    raise CarveoutError(f"{source}: wanted {', '.join(sorted(missing))} in it, found none")
