# SPDX-License-Identifier: GPL-2.0-only
"""Run what a bundle was made of: ``python -m carveout.bundle.rerun``, or `make BUNDLE=FILE`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from carveout.archive.lockfile import Lock
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import write_atomically
from carveout.common.revision import git_revision
from carveout.common.schemas import load_yaml


def prepare(folder: Path) -> Path:
    """Give the results folder the bundle's lock, unless it has one, and return the bundle's config.

    Args:
        folder: of the cache, with the bundle's config and lock.

    Raises:
        CarveoutError: there is no such folder, or the results folder has other packages.
    """
    config = folder / "config.yaml"
    if not config.exists():
        raise CarveoutError(f"{config}: wanted a bundle there; open one with: make BUNDLE=FILE")
    lock = Path(load_yaml(config)["results"], "lock.yaml")
    if lock.exists():
        _check_same_packages(lock, folder / "lock.yaml")
    else:
        # Where somebody has removed a lock, what was fetched by it is no longer what is wanted.
        lock.with_suffix(".sha256").unlink(missing_ok=True)
        write_atomically(lock, (folder / "lock.yaml").read_bytes())
    revision = (folder / "revision").read_text(encoding="utf-8").strip()
    found = git_revision()
    if not revision.startswith(found):
        print(
            f"carveout: the bundle is of revision {revision[:12]}, this checkout is {found}: it "
            "may make other trials; the bundle's own is unpacked by: tar -xf FILE carveout",
            file=sys.stderr,
        )
    return config


def _check_same_packages(lock: Path, bundled: Path) -> None:
    """Refuse a results folder's lock that lacks packages of the bundle's, or has others."""
    found, wanted = _packages(lock), _packages(bundled)
    if differing := [key for key, packages in wanted.items() if found.get(key) != packages]:
        raise CarveoutError(
            f"{lock}: wanted the packages of the bundle, found others or none for "
            f"{', '.join(differing)}; move {lock.parent} elsewhere to keep what is in it, or "
            f"remove {lock.name} to make it anew with the bundle's packages"
        )


def _packages(lock: Path) -> dict[str, object]:
    """Return what a lock's trials are made with, by what it is for; tools are no part of it."""
    return {key: entry.to_json()["packages"] for key, entry in Lock.read(lock).entries.items()}


@entry_point
def main() -> None:
    """Become a Snakemake that runs a bundle's config."""
    parser = argparse.ArgumentParser(prog="python -m carveout.bundle.rerun", description=__doc__)
    parser.add_argument("folder", type=Path, help="an open bundle: .bundle")
    config = prepare(parser.parse_args().folder)
    snakemake = shutil.which("snakemake")
    if snakemake is None:
        raise CarveoutError("wanted snakemake in PATH, found none; run make BUNDLE=FILE")
    os.execv(snakemake, [snakemake, "--configfile", str(config)])


if __name__ == "__main__":
    raise SystemExit(main())
