# SPDX-License-Identifier: GPL-2.0-only
"""What the host under test boots into: an initramfs of three archives, one after another.

The base is the same for all trials on a kernel (init, shell library, busybox, the tool, the kernel
module); an overlay adds what is a strategy's or a load's. Same inputs, same bytes.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from carveout.archive.debs import GoneError
from carveout.archive.package import Package
from carveout.archive.unpacked import lost, unpacked_together
from carveout.common import schemas
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import job_folder, write_atomically
from carveout.common.processes import run_program
from carveout.initramfs import cpio
from carveout.initramfs.build_module import build_module
from carveout.initramfs.cpio import Entry
from carveout.initramfs.debian_programs import debian_programs
from carveout.initramfs.kernel_modules import MissingModuleError, Module, resolve_modules
from carveout.kernels.kernel import Kernel, unpacked_kernel

COMPILER = "aarch64-linux-gnu-gcc"
# A program must not depend on where or when it was built.
COMPILER_FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"),
    *("-static", "-s", "-Wl,--build-id=none"),
)

# What init itself needs: its parameters come by way of QEMU's firmware configuration.
BASE_MODULES = ("qemu_fw_cfg", "i6300esb")


@dataclass(frozen=True)
class BaseFiles:
    """What the base is made of beside a kernel and its modules.

    Attributes:
        init: the guest's first program.
        library: what it sources.
        busybox: what describes its package.
        tool: sources and headers of the guest's tool.
        module: the folder of our kernel module.
        include: the folder of headers that both share.
    """

    init: Path
    library: Sequence[Path]
    busybox: Path
    tool: Sequence[Path]
    module: Path
    include: Path


def base_entries(kernel: Kernel, files: BaseFiles) -> list[Entry]:
    """Return the base: what every guest on a kernel has."""
    own = Module("carveout", build_module(kernel, files.module, [files.include]))
    return [
        Entry("init", _content_of(files.init), executable=True),
        *(Entry(f"lib/{source.name}", _content_of(source)) for source in files.library),
        Entry("bin/busybox", busybox_of(files.busybox), executable=True),
        Entry("bin/carveout", compile_tool(files.tool, files.include), executable=True),
        *module_entries("lib/modules", "order", [*resolve_modules(kernel, BASE_MODULES), own]),
    ]


def overlay_entries(
    kind: str, folder: Path, kernel: Kernel, include: Path, packages: Path | None = None
) -> list[Entry]:
    """Return an overlay: the hooks of a strategy or a load, its programs and its kernel modules.

    Args:
        kind: `strategy` or `load`.
        folder: the plug-in's.
        kernel: under which it runs.
        include: folder of shared headers.
        packages: what describes the packages of programs that are not its own.
    """
    description = folder / f"{kind}.yaml"
    content = schemas.load_yaml(description)
    schemas.check(content, kind, str(description))
    programs = [
        Entry(f"{kind}/{source.stem}", compile_program([source], [include]), executable=True)
        for source in sorted(folder.glob("*.c"))
    ]
    return [
        Entry(f"{kind}/guest.sh", _content_of(folder / "guest.sh")),
        *programs,
        *(debian_programs(packages, content["packages"]) if packages else []),
        *_own_modules(kind, kernel, content.get("modules", [])),
    ]


def _own_modules(kind: str, kernel: Kernel, names: Sequence[str]) -> list[Entry]:
    """Return a plug-in's kernel modules; where the kernel lacks one, what the guest says of it."""
    try:
        return module_entries(kind, "modules", resolve_modules(kernel, names))
    except MissingModuleError as error:
        return [Entry(f"{kind}/unavailable", f"{error}\n".encode())]


def busybox_of(description: Path) -> bytes:
    """Return the guest's busybox, out of the package that a file describes."""
    package = Package.from_json(schemas.load_sealed(description, "package"), str(description))
    try:
        root = unpacked_together("packages", [package], list, lambda _: None).root
    except GoneError as error:
        raise lost(error, description.parents[1] / "lock.yaml") from error
    (program,) = root.glob("**/bin/busybox")
    return program.read_bytes()


def compile_tool(sources: Sequence[Path], include: Path) -> bytes:
    """Compile the guest's tool; headers among its sources are found beside them."""
    return compile_program([path for path in sources if path.suffix in (".c", ".S")], [include])


def module_entries(folder: str, order: str, modules: Sequence[Module]) -> list[Entry]:
    """Return kernel modules, and the file that lists them in the order in which they go in."""
    entries = [Entry(f"{folder}/{module.name}.ko", module.content) for module in modules]
    listed = "".join(f"/{entry.path}\n" for entry in entries)
    return [*entries, Entry(f"{folder}/{order}", listed.encode())]


def compile_program(sources: Sequence[Path], includes: Sequence[Path]) -> bytes:
    """Compile C sources to a static arm64 program and return it."""
    with job_folder() as folder:
        program = folder / "program"
        run_program(
            [
                *(COMPILER, *COMPILER_FLAGS),
                *(f"-I{include}" for include in includes),
                *("-o", str(program)),
                *map(str, sources),
            ],
            f"compile {sources[0]}",
        )
        return program.read_bytes()


def _content_of(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise CarveoutError(f"{source}: wanted for the guest: {error.strerror}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.initramfs.pack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    tool = commands.add_parser("tool", help="compile the guest's tool")
    tool.add_argument("--include", required=True, type=Path, help="folder of headers")
    tool.add_argument("--sources", required=True, type=Path, nargs="+", help="C sources, headers")

    base = commands.add_parser("base", help="pack what every guest on a kernel has")
    base.add_argument("--kernel", required=True, type=Path, help="kernel.json")
    base.add_argument("--init", required=True, type=Path)
    base.add_argument("--library", required=True, type=Path, nargs="+", help="what init sources")
    base.add_argument("--busybox", required=True, type=Path, help="describes its package")
    base.add_argument("--tool", required=True, type=Path, nargs="+", help="its sources, headers")
    base.add_argument("--module", required=True, type=Path, help="the folder of our own")
    base.add_argument("--include", required=True, type=Path, help="folder of shared headers")

    overlay = commands.add_parser("overlay", help="pack what a strategy or a load adds")
    overlay.add_argument("kind", choices=("strategy", "load"))
    overlay.add_argument("--kernel", required=True, type=Path, help="kernel.json")
    overlay.add_argument("--folder", required=True, type=Path, help="the plug-in's folder")
    overlay.add_argument("--include", required=True, type=Path, help="folder of shared headers")
    overlay.add_argument("--packages", type=Path, help="describes those of its programs")

    for command in (tool, base, overlay):
        command.add_argument("--output", required=True, type=Path)
    for command in (base, overlay):
        command.add_argument("--digest", required=True, type=Path, help="gets the output's sha256")
    return parser.parse_args()


def _content(args: argparse.Namespace) -> bytes:
    if args.command == "tool":
        return compile_tool(args.sources, args.include)
    if args.command == "base":
        kernel = unpacked_kernel(args.kernel)  # its headers make our module
        files = BaseFiles(**{field.name: getattr(args, field.name) for field in fields(BaseFiles)})
        return cpio.pack(base_entries(kernel, files))
    kernel = unpacked_kernel(args.kernel, "usr/lib/modules")
    return cpio.pack(overlay_entries(args.kind, args.folder, kernel, args.include, args.packages))


@entry_point
def main() -> None:
    """Make one file of the guest."""
    args = _arguments()
    content = _content(args)
    write_atomically(args.output, content)
    if args.command != "tool":
        write_atomically(args.digest, hashlib.sha256(content).hexdigest() + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
