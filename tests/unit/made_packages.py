# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of a few files, made for tests."""

import functools
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from carveout.archive.package import Package, PackageSet
from carveout.common.cache import cache_folder
from carveout.common.files import sha256_of, write_json_atomically

SUITES = ("made",)
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def control_of(package: Package, depends: str = "") -> str:
    """What a package says of itself."""
    return (
        f"Package: {package.name}\nVersion: {package.version}\n"
        f"Architecture: {package.architecture}\n"
        "Maintainer: nobody <nobody@example.org>\nDescription: made for a test\n"
        + (f"Depends: {depends}\n" if depends else "")
    )


def build_deb(deb: Path, control: str, files: Mapping[str, bytes]) -> None:
    """Build a .deb file, the same for the same content."""
    deb.write_bytes(_built(control, tuple(files.items())))


@functools.lru_cache(maxsize=100)
def _built(control: str, files: tuple[tuple[str, bytes], ...]) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name, "tree")
        tree.mkdir(mode=0o755)
        for path, content in files:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
            (tree / path).chmod(0o755)
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN/control").write_text(control)
        deb = Path(name, "made.deb")
        subprocess.run(
            ["dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, deb],
            env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
            check=True,
            capture_output=True,
        )
        return deb.read_bytes()


def made_deb(
    folder: Path,
    name: str,
    files: Mapping[str, bytes],
    *,
    version: str = "1",
    architecture: str = "arm64",
) -> Package:
    """Build a package into the cache, as if it had been downloaded, and return its pin."""
    package = Package(name, version, architecture, "", SUITES, f"pins.yaml: {name}")
    deb = folder / f"{name}.deb"
    build_deb(deb, control_of(package), files)
    return put_into_cache(deb, package)


def put_into_cache(deb: Path, package: Package) -> Package:
    """Move a .deb file into the cache and return its pin."""
    package = Package(**{**package.__dict__, "sha256": sha256_of(deb)})
    path = cache_folder("archive") / f"{package.sha256}.deb"
    write_json_atomically(path.with_suffix(".json"), package.to_json())
    deb.rename(path)
    return package


def host_program(name: str) -> bytes:
    """A program of the host."""
    return Path(shutil.which(name) or "").resolve().read_bytes()


def host_libraries(name: str) -> dict[str, bytes]:
    """The libraries of a program of the host, as they are called there; the loader is one."""
    command = ["ldd", shutil.which(name) or name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    paths = [Path(path) for path in re.findall(r"(/\S+) \(0x", said)]
    return {path.name: path.resolve().read_bytes() for path in paths}


def libc_files(program: str) -> dict[str, bytes]:
    """What a package holds that a program of the host needs."""
    return {f"{LIBRARIES}/{name}": content for name, content in host_libraries(program).items()}


def arm64_image(page_flag: int = 1) -> bytes:
    """The head of an arm64 Image that says its page size."""
    head = bytearray(64)
    struct.pack_into("<Q", head, 0x18, page_flag << 1)
    head[0x38:0x3C] = b"ARM\x64"
    return bytes(head)


def image_files(release: str) -> dict[str, bytes]:
    """What the package of a kernel's image holds at least."""
    return {
        f"boot/vmlinuz-{release}": arm64_image(),
        f"usr/lib/modules/{release}/modules.builtin": b"",
    }


def write_pins(
    folder: Path,
    kernels: Mapping[str, PackageSet],
    guest: PackageSet,
    qemus: Mapping[str, PackageSet],
) -> tuple[Path, Path]:
    """Write kernels.yaml and qemus.yaml, with pins of the made suite."""
    paths = folder / "kernels.yaml", folder / "qemus.yaml"
    contents = (
        {
            "kernels": {name: {"page_bytes": 4096, **_section(of)} for name, of in kernels.items()},
            "guest": _section(guest),
            "lint": {"suites": list(SUITES), "source": "linux-source"},
        },
        {name: _section(of) for name, of in qemus.items()},
    )
    for path, content in zip(paths, contents, strict=True):
        path.write_text(f"# first comment\n# goes on\n{yaml.safe_dump(content, sort_keys=False)}")
    return paths


def _section(packages: PackageSet) -> dict[str, object]:
    return {
        "suites": list(SUITES),
        "packages": {
            role: {key: value for key, value in package.to_json().items() if key != "suites"}
            for role, package in packages.packages.items()
        },
    }
