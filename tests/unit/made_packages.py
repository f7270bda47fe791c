# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of a few files, made for tests."""

import subprocess
from pathlib import Path

from carveout.archive.packages import Package
from carveout.common.cache import cache_folder
from carveout.common.files import sha256_of


def made_deb(folder: Path, name: str, files: dict[str, bytes]) -> Package:
    """Build a package into the cache and return its pin."""
    tree = folder / name
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
        (tree / path).chmod(0o755)
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: arm64\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: made for a test\n"
    )
    deb = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", tree, deb], check=True, capture_output=True)
    deb = deb.rename(cache_folder("archive") / f"{sha256_of(deb)}.deb")
    return Package(name, "1", "arm64", deb.stem, ("made",), f"pins.yaml: {name}")
