# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that the config names: the host's own, or one of another suite in the cache."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carveout.archive.debs import GoneError, with_dependencies
from carveout.archive.foreign import linked_packages, wrap_program
from carveout.archive.package import Package, PackageSet
from carveout.archive.unpacked import Unpacked, lost, unpacked_together
from carveout.common.errors import CarveoutError
from carveout.common.processes import run_program
from carveout.common.schemas import load_sealed

# Where the program lies in its package.
QEMU_PROGRAM = "usr/bin/qemu-system-aarch64"
# The host's own, which the package of that name installs, and by which a config asks for it.
HOST_QEMU = "qemu-system-aarch64"


def describe_qemu(name: str, used: PackageSet) -> dict[str, Any]:
    """Return a description of a QEMU from the archive, without any path of the cache."""
    packages = list(used.packages.values())
    return {
        "qemu": name,
        "version": qemu_version(str(unpacked(packages).root / QEMU_PROGRAM)),
        "packages": [package.to_json() for package in packages],
    }


def describe_host_qemu(name: str, known: Sequence[str]) -> dict[str, Any]:
    """Return a description of a QEMU of the host's own.

    Args:
        name: a program in PATH or a path, taken as it is.
        known: the names of the pinned QEMUs, for the error.
    """
    if shutil.which(name) is None:
        raise CarveoutError(
            f"key qemu of the config: wanted the program {name}, found none in PATH; "
            f"run envs/install.sh, or name one of config/qemus.yaml: {', '.join(known)}"
        )
    return {"qemu": name, "version": qemu_version(name), "packages": []}


def qemu_program(name: str) -> str:
    """Return the program to start, unpacked again when need be.

    Args:
        name: the .json file that describes it, or a program itself.
    """
    if not name.endswith(".json"):
        return name
    content = load_sealed(Path(name), "qemu")
    packages = [Package.from_json(package, name) for package in content["packages"]]
    if not packages:
        return str(content["qemu"])
    try:
        return str(unpacked(packages).root / QEMU_PROGRAM)
    except GoneError as error:
        raise lost(error, Path(name).parent / "lock.yaml") from error


def checked_qemu(name: str) -> tuple[str, str]:
    """Return the program to start, as `qemu_program` does, and its version.

    The machine that runs it need not be the one that described it.

    Args:
        name: the .json file that describes it, or a program itself.

    Raises:
        CarveoutError: this machine has none, or another version than the one described.
    """
    program = qemu_program(name)
    if not name.endswith(".json"):
        return program, qemu_version(program)
    wanted = load_sealed(Path(name), "qemu")["version"]
    found = qemu_version(program) if shutil.which(program) else None
    if found != wanted:
        raise CarveoutError(
            f"{program}: wanted QEMU {wanted} ({name}), found "
            f"{f'QEMU {found}' if found else 'none'} on this machine; install that version, keep "
            "jobs off this machine, or let the key qemu of the config name one of "
            "config/qemus.yaml, which every machine takes from the cache"
        )
    return program, wanted


def host_qemu_version(name: str) -> str | None:
    """Return the version that a program of the host reports, or None when it is no QEMU."""
    try:
        return qemu_version(name)
    except CarveoutError:
        return None


def qemu_version(qemu: str) -> str:
    """Return the version that a QEMU reports, with its distribution's suffix."""
    said = run_program([qemu, "--version"], f"ask {qemu} for its version")
    match = re.search(r"version (.+)", said)
    if match is None:
        raise CarveoutError(f"{qemu}: wanted a QEMU, found a program that says {said!r}")
    return match[1].strip()


def unpacked(packages: Sequence[Package]) -> Unpacked:
    """Return the package of a QEMU, unpacked with the libraries of its own suite."""
    (program,) = packages

    def find_tools() -> list[Package]:
        linked = linked_packages(QEMU_PROGRAM, with_dependencies(program))
        return sorted((p for p in linked if p.name != program.name), key=lambda p: p.name)

    def finish(folder: Path) -> None:
        wrap_program(folder / QEMU_PROGRAM, folder)

    return unpacked_together("qemus", packages, find_tools, finish)
