# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's style checker, out of a kernel's source package: of any version that there is."""

import tarfile
from pathlib import Path

from carveout.archive.debs import newest_of
from carveout.archive.package import Package
from carveout.archive.pins import read_checked
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError, entry_point
from carveout.kernels.built import source_archive

_WANTED = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")


def checkpatch(linux_source: Package) -> Path:
    """Return the path of checkpatch.pl, which is taken out of the kernel's source package."""
    folder = cached_folder(
        "checkpatch", linux_source.sha256, lambda folder: _take_checkpatch(linux_source, folder)
    )
    return folder / "checkpatch.pl"


def _take_checkpatch(linux_source: Package, folder: Path) -> None:
    wanted = {f"scripts/{name}" for name in _WANTED}
    with source_archive(linux_source) as tree, tarfile.open(tree) as archive:
        for member in archive:
            _, _, inside = member.name.partition("/")
            stream = archive.extractfile(member) if inside in wanted else None
            if stream is not None:
                (folder / Path(inside).name).write_bytes(stream.read())
                wanted.remove(inside)
            if not wanted:
                return  # the rest of a gigabyte need not be decompressed
    raise CarveoutError(f"{linux_source}: wanted {', '.join(sorted(wanted))} in it, found none")


@entry_point
def main() -> None:
    """Print where checkpatch.pl lies, after fetching it when need be."""
    path = Path("config/kernels.yaml")
    lint = read_checked(path, "kernels")["lint"]
    print(checkpatch(newest_of(lint["source"], "all", lint["suites"], f"{path}: lint.source")))


if __name__ == "__main__":
    raise SystemExit(main())
