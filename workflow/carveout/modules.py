# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules: the kernel's own with what they need, and ours cross-built for it."""

import argparse
import gzip
import lzma
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carveout.errors import CarveoutError, entry_point
from carveout.files import write_atomically
from carveout.kernels import Kernel, unpacked_kernel

_CROSS = "aarch64-linux-gnu-"


@dataclass(frozen=True)
class Module:
    """One of the kernel's own modules, decompressed."""

    name: str
    content: bytes


def resolve_modules(kernel: Kernel, names: Sequence[str]) -> list[Module]:
    """Return modules with all that they depend on, in the order in which they can be inserted.

    A name that is built into the kernel resolves to nothing.
    """
    there = {_module_name(path.name): path for path in kernel.modules.rglob("*.ko*")}
    builtin = _builtin_modules(kernel)
    order: dict[str, Module] = {}

    def add(name: str, wanted_by: str) -> None:
        if name in order or name in builtin:
            return
        if name not in there:
            raise CarveoutError(f"kernel {kernel.release} has no module {name}, {wanted_by}")
        content = _decompressed(there[name])
        for dependency in _dependencies(content, there[name]):
            add(dependency, f"which {name} needs")
        order[name] = Module(name, content)

    for name in names:
        add(_module_name(name), "wanted by name")
    return list(order.values())


def build_module(kernel: Kernel, source: Path, includes: Sequence[Path], output: Path) -> None:
    """Cross-build the module of a folder with a Kbuild file; same inputs give the same bytes.

    Args:
        kernel: the kernel that shall load it.
        source: the folder; its one module is taken.
        includes: further folders of headers.
        output: the .ko file to write.
    """
    with tempfile.TemporaryDirectory(prefix="carveout-module-") as name:
        folder = Path(name) / source.name
        shutil.copytree(source, folder)
        done = subprocess.run(
            _make_command(kernel, folder, includes), capture_output=True, text=True, check=False
        )
        print(done.stdout, done.stderr, sep="", flush=True)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "rror" in line]
            raise CarveoutError(
                f"could not build {source} for kernel {kernel.release}: {' '.join(errors[:1])}"
            )
        (module,) = folder.glob("*.ko")
        subprocess.run([f"{_CROSS}strip", "--strip-debug", str(module)], check=True)
        write_atomically(output, module.read_bytes())


def _make_command(kernel: Kernel, folder: Path, includes: Sequence[Path]) -> list[str]:
    if shutil.which(f"{_CROSS}gcc") is None:
        raise CarveoutError(f"{_CROSS}gcc is not on PATH; run envs/install.sh")
    include_flags = [f"-I{include.resolve()}" for include in includes]
    # No path of this machine may reach the module: __FILE__ is shown by WARN().
    prefixes = [folder, kernel.root, *(include.resolve() for include in includes)]
    map_flags = [f"-ffile-prefix-map={prefix}/=" for prefix in prefixes]
    return [
        "make",
        f"--directory={kernel.headers}",
        f"--file={kernel.headers_common}/Makefile",
        f"M={folder}",
        "ARCH=arm64",
        f"CROSS_COMPILE={_CROSS}",
        f"CC={_CROSS}gcc",  # the headers ask for the very version that built the kernel
        f"KERNELRELEASE={kernel.release}",
        f"KCFLAGS={' '.join([*include_flags, *map_flags])}",
        "CONFIG_DEBUG_INFO=",
        "CONFIG_DEBUG_INFO_BTF_MODULES=",  # needs vmlinux and pahole
        "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=",  # true of the kernel's compiler, not of older ones
        "modules",
    ]


def _module_name(file_name: str) -> str:
    """Return a module's name as the kernel has it, which never holds a dash."""
    return file_name.partition(".ko")[0].replace("-", "_")


def _builtin_modules(kernel: Kernel) -> set[str]:
    lines = (kernel.modules / "modules.builtin").read_text(encoding="utf-8").splitlines()
    return {_module_name(Path(line).name) for line in lines}


def _decompressed(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(content)
    if path.suffix == ".gz":
        return gzip.decompress(content)
    if path.suffix == ".ko":
        return content
    raise CarveoutError(f"{path}: wanted .ko, .ko.xz or .ko.gz, found another compression")


def _dependencies(module: bytes, path: Path) -> list[str]:
    """Return the names in `depends=`: Debian's packages hold no modules.dep, depmod makes it."""
    for name, section in _elf_sections(module):
        if name == b".modinfo":
            for entry in section.split(b"\0"):
                if entry.startswith(b"depends="):
                    names = entry.removeprefix(b"depends=").decode()
                    return [_module_name(name) for name in names.split(",") if name]
            return []
    raise CarveoutError(f"{path}: wanted a kernel module, found no section .modinfo")


def _elf_sections(elf: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, content) of each section of a 64-bit little-endian ELF file."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry_bytes, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [
        struct.unpack_from("<IIQQQQ", elf, table + index * entry_bytes) for index in range(count)
    ]
    names_offset = headers[names_index][4]
    for name_offset, _, _, _, offset, size in headers:
        start = names_offset + name_offset
        yield elf[start : elf.index(b"\0", start)], elf[offset : offset + size]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.modules", description="Cross-build a module.")
    parser.add_argument("kernel", type=Path, help="what `carveout.kernels unpack` wrote")
    parser.add_argument("source", type=Path, help="the folder with its Kbuild file")
    parser.add_argument("output", type=Path)
    parser.add_argument("--include", type=Path, action="append", default=[])
    return parser.parse_args()


@entry_point
def main() -> None:
    """Build one module."""
    args = _arguments()
    build_module(unpacked_kernel(args.kernel), args.source, args.include, args.output)


if __name__ == "__main__":
    raise SystemExit(main())
