# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own modules, each with what it needs."""

import gzip
import lzma
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carveout.common.errors import CarveoutError
from carveout.kernels.kernel import Kernel


class MissingModuleError(CarveoutError):
    """A kernel has not the module that is wanted, nor is it built in."""


@dataclass(frozen=True)
class Module:
    """One of the kernel's own modules, decompressed."""

    name: str
    content: bytes


def resolve_modules(kernel: Kernel, names: Sequence[str]) -> list[Module]:
    """Return modules with all that they depend on, in the order in which they can be inserted.

    A name that is built into the kernel resolves to nothing, and so does one that ends in `?` and
    that the kernel does not have.

    Raises:
        MissingModuleError: the kernel lacks a module.
    """
    there = {_module_name(path.name): path for path in kernel.modules.rglob("*.ko*")}
    builtin = _builtin_modules(kernel)
    order: dict[str, Module] = {}

    def add(name: str, wanted_by: str) -> None:
        if name in order or name in builtin:
            return
        if name not in there:
            raise MissingModuleError(f"kernel {kernel.release} has no module {name}, {wanted_by}")
        content = _decompressed(there[name])
        for dependency in _dependencies(content, there[name]):
            add(dependency, f"which {name} needs")
        order[name] = Module(name, content)

    for text in names:
        name = _module_name(text.removesuffix("?"))
        if name in there or not text.endswith("?"):
            add(name, "wanted by name")
    return list(order.values())


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
    """Return the names in a module's `depends=`.

    Debian's packages have no modules.dep: depmod makes it when they are installed.
    """
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
