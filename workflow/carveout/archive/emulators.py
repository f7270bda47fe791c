# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that the config names: the host's own, or a pinned one unpacked in the cache."""

import argparse
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from carveout.archive.foreign import wrap_program
from carveout.archive.packages import Package, fetch, unpack
from carveout.archive.pins import QEMU_PROGRAM, read_qemus
from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import sha256_of_json, write_json_atomically

_UNPACKING = 1  # goes up when the way of unpacking changes, so that older folders are not used


def describe_qemu(name: str, pins: Path) -> dict[str, Any]:
    """Return what describes a QEMU, fetched and unpacked if pinned, without any path of the cache.

    Args:
        name: one of `pins`, or else a program in PATH or a path, taken as it is.
        pins: qemus.yaml.
    """
    known = read_qemus(pins)
    packages = known.get(name, [])
    program = str(_unpacked(packages)) if packages else _in_path(name, known, pins)
    return {
        "qemu": name,
        "version": qemu_version(program),
        "packages": [asdict(package) for package in packages],
    }


def qemu_program(name: str) -> str:
    """Return the program to start, unpacked again when need be.

    Args:
        name: the .json file that holds what `describe_qemu` returned, or a program itself.
    """
    if not name.endswith(".json"):
        return name
    content = json.loads(Path(name).read_text(encoding="utf-8"))
    packages = [Package.from_json(package) for package in content["packages"]]
    return str(_unpacked(packages)) if packages else str(content["qemu"])


def qemu_identity(name: str, known: Mapping[str, Sequence[Package]]) -> str | None:
    """Return what tells a QEMU from others before it is made ready, so that boots of two never mix.

    Args:
        name: as in `describe_qemu`.
        known: the pinned ones.

    Returns:
        The digest of a pinned one's packages, or else the version that a program says of itself;
        None when it is no QEMU, which `describe_qemu` says why.
    """
    if name in known:
        return sha256_of_json([package.sha256 for package in known[name]])
    try:
        return qemu_version(name)
    except CarveoutError:
        return None


def qemu_version(qemu: str) -> str:
    """The version that a QEMU says of itself, with its distribution's suffix."""
    try:
        answer = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CarveoutError(f"{qemu}: does not run as a QEMU: {error}") from error
    match = re.search(r"version (.+)", answer.stdout)
    if match is None:
        raise CarveoutError(f"{qemu}: wanted a QEMU, found a program that says {answer.stdout!r}")
    return match[1].strip()


def _in_path(name: str, known: Mapping[str, Sequence[Package]], pins: Path) -> str:
    path = shutil.which(name)
    if path is None:
        raise CarveoutError(
            f"key qemu of the config: wanted the program {name}, found none in PATH; "
            f"run envs/install.sh, or name one of {pins}: {', '.join(known)}"
        )
    return path


def _unpacked(packages: Sequence[Package]) -> Path:
    digest = sha256_of_json([_UNPACKING, sorted(package.sha256 for package in packages)])

    def fill(folder: Path) -> None:
        unpack(fetch(packages), folder)
        wrap_program(folder / QEMU_PROGRAM, folder)

    return cached_folder("qemus", digest, fill) / QEMU_PROGRAM


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.archive.emulators", description=__doc__)
    parser.add_argument("--pins", type=Path, required=True, help="qemus.yaml")
    parser.add_argument("qemu", help="a name of the pins, or a program")
    parser.add_argument("output", type=Path, help="output: what describes it")
    return parser.parse_args()


@entry_point
def main() -> None:
    """Make one QEMU ready and write what describes it."""
    args = _arguments()
    write_json_atomically(args.output, describe_qemu(args.qemu, args.pins))


if __name__ == "__main__":
    raise SystemExit(main())
