# SPDX-License-Identifier: GPL-2.0-only
"""Programs of Debian's packages for the guest, with the libraries that they link to."""

from collections.abc import Mapping
from pathlib import Path

from carveout.archive.debs import GoneError, fetch, unpack
from carveout.archive.foreign import linked_libraries
from carveout.archive.package import Package
from carveout.archive.unpacked import lost
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder
from carveout.common.schemas import load_sealed
from carveout.initramfs.cpio import Entry


def debian_programs(description: Path, programs: Mapping[str, str]) -> list[Entry]:
    """Return programs in the folder `load`, and in `lib`, where the loader looks, their libraries.

    Nothing else of the packages gets there: an initramfs is memory of the host under test.

    Args:
        description: the file that describes the packages.
        programs: by package, the program's path in it.
    """
    content = load_sealed(description, "programs")
    packages = [Package.from_json(package, str(description)) for package in content["packages"]]
    try:
        debs = fetch(packages)
    except GoneError as error:
        raise lost(error, description.parents[2] / "lock.yaml") from error
    with job_folder() as root:
        unpack(debs, root)
        files: dict[str, Path] = {}
        for package, path in programs.items():
            if not (root / path).is_file():
                raise CarveoutError(f"{description}: wanted {path} in {package}, found none")
            files[f"load/{Path(path).name}"] = root / path
            libraries = linked_libraries(root / path, [root])
            files |= {f"lib/{library}": file for library, file in libraries.items()}
        return [Entry(path, file.read_bytes(), executable=True) for path, file in files.items()]
