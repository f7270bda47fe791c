# SPDX-License-Identifier: GPL-2.0-only
"""Write a bundle: ``python -m carveout.bundle.pack``. envs/bundle.sh opens it again.

It is a tar archive; after its end comes a line with the digest of all before, which tar does not
read. Same content, same bytes.
"""

import argparse
import hashlib
import json
import os
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from carveout.archive.lockfile import Lock
from carveout.archive.pins import Pins
from carveout.bundle.contents import (
    Files,
    check_config,
    checkout_files,
    committed_revision,
    made_files,
    package_files,
    tool_files,
    tools_folder,
)
from carveout.bundle.wheels import wheel_files
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import file_made_aside, job_folder
from carveout.common.processes import run_program
from carveout.machines.emulators import HOST_QEMU, qemu_version

_MARK = "carveout-bundle-1"


class _Hashed:
    """A stream that keeps the digest of what is written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._stream.write(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def write_bundle(output: Path, files: Mapping[str, Path]) -> None:
    """Write a bundle of files, by their names in it."""
    with file_made_aside(output) as stream:
        hashed = _Hashed(stream)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
            for name in sorted(files):
                _add(archive, name, files[name])
        stream.write(f"{_MARK} {hashed.sha256}\n".encode())


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    """Add a file or a symbolic link, of nobody and of no time."""
    about = archive.gettarinfo(path, name)
    mode = 0o755 if about.mode & 0o100 else 0o644
    about.uid = about.gid = about.mtime = 0
    about.uname = about.gname = ""
    about.mode = mode
    if about.islnk():  # within the cache; on another machine it is a file of its own
        about.type, about.linkname, about.size = tarfile.REGTYPE, "", path.stat().st_size
    if about.issym():
        archive.addfile(about)
        return
    with path.open("rb") as content:
        archive.addfile(about, content)


def check_tools(tools: Path, tool: Sequence[Path], include: Path, images: Sequence[Path]) -> None:
    """Refuse tools that would not make the bytes that the results were made with.

    Args:
        tools: the folder in which they are unpacked.
        tool: sources and headers of the guest's tool.
        include: the folder of further headers.
        images: archives of guests, which have the tool.
    """
    programs = tools / "usr/bin"
    bundled, here = qemu_version(str(programs / HOST_QEMU)), qemu_version(HOST_QEMU)
    if bundled != here:
        raise CarveoutError(
            f"wanted to bundle QEMU {here}, which runs here, found {bundled} in the archive; "
            "upgrade the system's packages and make the results anew"
        )
    with job_folder() as folder:
        output = folder / "tool"
        run_program(
            [
                *(sys.executable, "-m", "carveout.initramfs.pack", "tool", "--include"),
                *(str(include), "--sources", *map(str, tool), "--output", str(output)),
            ],
            "build the guest's tool with the tools of the bundle",
            variables={"PATH": f"{programs}:{os.environ['PATH']}"},
        )
        content = output.read_bytes()
    for image in images:
        if content not in image.read_bytes():  # an archive of cpio is not compressed
            raise CarveoutError(
                f"wanted the compiler that made the tool in {image}, found another in the archive; "
                "upgrade the system's packages and make the results anew"
            )


def _generated_files(folder: Path, config: Mapping[str, Any], lock: Lock, revision: str) -> Files:
    """Return the files that a bundle alone has, written to a folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    lock.write(folder / "lock.yaml")
    (folder / "revision").write_text(f"{revision}\n", encoding="utf-8")
    files = {f"bundle/{path.name}": path for path in folder.iterdir()}
    return files | {"carveout/REVISION": folder / "revision"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m carveout.bundle.pack", description=__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the whole, as JSON")
    parser.add_argument("--lock", type=Path, required=True)
    parser.add_argument("--kernels", nargs="*", type=Path, default=[], help="what describes each")
    parser.add_argument("--tool", nargs="+", type=Path, required=True, help="the guest's: sources")
    parser.add_argument("--include", type=Path, required=True, help="folder of its headers")
    parser.add_argument("--images", nargs="*", type=Path, default=[], help="that have the tool")
    parser.add_argument("output", type=Path)
    return parser.parse_args()


@entry_point
def main() -> None:
    """Write a bundle of a config, of which everything is in the cache."""
    args = _arguments()
    pins = Pins.read(Path("config/kernels.yaml"), Path("config/qemus.yaml"))
    check_config(args.config, list(pins.qemus))
    revision = committed_revision()
    lock = Lock.read(args.lock)
    tools = tools_folder()
    check_tools(tools, args.tool, args.include, args.images)
    with job_folder() as folder, checkout_files() as tree:
        files = {
            **tree,
            **_generated_files(folder, args.config, lock, revision),
            **package_files(lock),
            **made_files(lock, args.kernels),
            **tool_files(tools),
            **wheel_files(tools),
        }
        write_bundle(args.output, files)
    megabytes = args.output.stat().st_size / 1e6
    said = f"carveout: {args.output} has {megabytes:.0f} MB, with revision {revision[:12]}"
    print(said, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
