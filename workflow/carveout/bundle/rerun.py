# SPDX-License-Identifier: GPL-2.0-only
"""Run what a bundle was made of: ``python -m carveout.bundle.rerun``, or `make BUNDLE=FILE`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import write_atomically
from carveout.common.revision import git_revision
from carveout.common.schemas import load_yaml


def prepare(folder: Path) -> Path:
    """Give the results folder the bundle's lock, unless it has one, and return the bundle's config.

    Args:
        folder: of the cache, with the bundle's config and lock.

    Raises:
        CarveoutError: there is no such folder.
    """
    config = folder / "config.yaml"
    if not config.exists():
        raise CarveoutError(f"{config}: wanted a bundle there; open one with: make BUNDLE=FILE")
    lock = Path(load_yaml(config)["results"], "lock.yaml")
    if not lock.exists():
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
