# SPDX-License-Identifier: GPL-2.0-only
"""What goes into a bundle: files of the cache and of the checkout, and where each lies in it."""

import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from carveout.archive.debs import fetch
from carveout.archive.lockfile import Lock
from carveout.archive.package import Package
from carveout.common.cache import cache_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder
from carveout.common.processes import run_program
from carveout.common.schemas import load_made
from carveout.kernels.kernel import unpacked_kernel
from carveout.machines.emulators import HOST_QEMU, unpacked

Files = dict[str, Path]


def check_config(config: Mapping[str, Any], pinned_qemus: Sequence[str]) -> None:
    """Refuse a config that names what lies outside the checkout, which no bundle takes along.

    Args:
        config: the whole config.
        pinned_qemus: names of config/qemus.yaml.
    """
    if config["own_kernels"]:
        raise CarveoutError(
            f"key own_kernels: wanted kernels of packages in a bundle, found "
            f"{', '.join(config['own_kernels'])}; bundle a config without them"
        )
    for key in ("strategy_folders", "load_folders"):
        for folder in config[key]:
            if not Path(folder).resolve().is_relative_to(Path.cwd().resolve()):
                raise CarveoutError(
                    f"key {key}: wanted folders of this checkout in a bundle, found {folder}; "
                    "commit it to the checkout"
                )
    if config["qemu"] not in (*pinned_qemus, HOST_QEMU):
        raise CarveoutError(
            f"key qemu: wanted a QEMU of Debian's packages in a bundle, found {config['qemu']}; "
            f"name {HOST_QEMU}, or one of config/qemus.yaml: {', '.join(pinned_qemus)}"
        )


def committed_revision() -> str:
    """Return the revision of a checkout of which everything is committed."""
    changed = run_program(["git", "status", "--porcelain"], "ask git what is not committed")
    if changed:
        raise CarveoutError(
            "wanted a checkout of one revision to bundle, found that git status has "
            f"{changed.splitlines()[0]!r}; commit the changes first"
        )
    return run_program(["git", "rev-parse", "HEAD"], "ask git for the revision")


@contextmanager
def checkout_files() -> Iterator[Files]:
    """Yield the files of the checkout's revision, below `carveout`."""
    with job_folder() as folder:
        archive = folder / "checkout.tar"
        command = ["git", "archive", "--format=tar", f"--output={archive}", "HEAD"]
        run_program(command, "archive the checkout")
        tree = folder / "tree"
        with tarfile.open(archive) as tar:
            tar.extractall(tree, filter="data")
        yield {
            f"carveout/{path.relative_to(tree)}": path
            for path in tree.rglob("*")
            if path.is_symlink() or path.is_file()
        }


def package_files(lock: Lock) -> Files:
    """Return the packages of a lock, with what says what they are, and what they link to."""
    packages = lock.packages()
    debs = fetch(packages)
    files = {f"cache/archive/{file.name}": file for deb in debs for file in _with_note(deb)}
    return files | _linked({package.sha256 for package in packages})


def _with_note(deb: Path) -> list[Path]:
    return [path for path in (deb, deb.with_suffix(".json")) if path.exists()]


def _linked(bundled: set[str]) -> Files:
    """Return the notes on what programs of bundled packages link to: they spare the archive."""
    files: dict[str, Path] = {}
    for path in cache_folder("linked").glob("*/packages.json"):
        packages = map(Package.from_json, load_made(path, "packages"))
        if {package.sha256 for package in packages} <= bundled:
            folder = path.parent
            files |= {f"cache/linked/{folder.name}/{file.name}": file for file in folder.iterdir()}
    return files


def made_files(lock: Lock, descriptions: Sequence[Path]) -> Files:
    """Return what takes more than packages to make again: a compiler, or a question to the archive.

    Args:
        lock: its QEMUs, whose libraries the archive was asked for, go in as they were unpacked.
        descriptions: of kernels; those that are built from source go in.
    """
    cache = cache_folder()
    qemus = [
        unpacked(list(entry.used.packages.values())).root
        for key, entry in lock.entries.items()
        if key.startswith("qemus.")
    ]
    kernels = [unpacked_kernel(description).root for description in descriptions]
    built = [root for root in kernels if root.parent == cache_folder("built")]
    return {
        f"cache/{path.relative_to(cache)}": path
        for root in (*qemus, *built)
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def tool_files(tools: Path) -> Files:
    """Return the packages of the tools, and the list that pins them.

    Args:
        tools: the folder in which they are unpacked.
    """
    archive = cache_folder("archive")
    names = [
        f"{line.split()[0]}.deb"
        for line in (tools / "list").read_text(encoding="utf-8").splitlines()
    ]
    return {"bundle/tools.list": tools / "list"} | {
        f"cache/archive/{name}": archive / name for name in names
    }


def tools_folder() -> Path:
    """Return the folder of the tools, fetched and unpacked now if need be.

    They are those of this environment, if it runs on them, else what apt would install here.
    """
    own = Path(sys.prefix, "tools.list")
    known = [str(own)] if own.exists() else []
    return Path(run_program(["envs/install.sh", "tools", *known], "unpack the tools"))
