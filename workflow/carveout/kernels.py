# SPDX-License-Identifier: GPL-2.0-only
"""The pinned kernels: unpacked in the cache, with their modules, and able to build another one."""

import argparse
import gzip
import json
import lzma
import shutil
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from carveout import schemas
from carveout.archive import Package, fetch, newest, unpack
from carveout.cache import cached_folder
from carveout.errors import CarveoutError, entry_point
from carveout.files import (
    sha256_of,
    sha256_of_json,
    write_atomically,
    write_json_atomically,
)

_UNPACKING = 1  # goes up when the way of unpacking changes, so that older folders are not used
_CROSS = "aarch64-linux-gnu-"
# linux/Documentation/arch/arm64/booting.rst
_ARM64_MAGIC_OFFSET = 0x38
_ARM64_FLAGS_OFFSET = 0x18
_PAGE_BYTES_OF_FLAG = {1: 4096, 2: 16384, 3: 65536}


@dataclass(frozen=True)
class KernelPin:
    """One kernel of kernels.yaml: its page size as stated there, and its packages by their role."""

    name: str
    page_bytes: int
    packages: dict[str, Package]


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel. Its paths lie in the cache and are never to be recorded."""

    release: str
    page_bytes: int
    root: Path

    @property
    def image(self) -> Path:
        """The raw Image that QEMU boots."""
        return self.root / "Image"

    @property
    def modules(self) -> Path:
        """The folder of the kernel's own modules."""
        return self.root / "usr/lib/modules" / self.release

    @property
    def headers(self) -> Path:
        """The headers of this very configuration."""
        return self.root / "usr/src" / f"linux-headers-{self.release}"

    @property
    def headers_common(self) -> Path:
        """The headers that this kernel's configurations share; the top Makefile lies there."""
        (folder,) = self.root.glob("usr/src/linux-headers-*-common")
        return folder


@dataclass(frozen=True)
class Module:
    """One of the kernel's own modules, decompressed."""

    name: str
    content: bytes


# --- pins


def read_pins(path: Path) -> dict[str, Any]:
    """Return the content of kernels.yaml, checked against its schema."""
    pins: dict[str, Any] = schemas.load_yaml(path)
    schemas.check(pins, "kernels", str(path))
    return pins


def kernel_pin(path: Path, name: str) -> KernelPin:
    """Return one kernel of kernels.yaml."""
    kernels = read_pins(path)["kernels"]
    if name not in kernels:
        raise CarveoutError(f"{path}: key kernels: no {name}; there are {', '.join(kernels)}")
    packages = _packages(kernels[name], f"{path}: kernels.{name}")
    return KernelPin(name, kernels[name]["page_bytes"], packages)


def pinned_package(path: Path, section: str, role: str) -> Package:
    """Return a package of the section `guest` or `lint` of kernels.yaml."""
    return _packages(read_pins(path)[section], f"{path}: {section}")[role]


def relock(path: Path) -> list[str]:
    """Pin the newest version of every package and return what changed.

    Of the file's comments only the first is kept.
    """
    pins = read_pins(path)
    changes = []
    sections = {f"kernels.{name}": kernel for name, kernel in pins["kernels"].items()}
    for key, section in (sections | {"guest": pins["guest"], "lint": pins["lint"]}).items():
        old = _packages(section, f"{path}: {key}")
        new = dict(zip(old, newest(list(old.values())), strict=True))
        if "image" in new:
            _check_same_source(new)
        changes += [f"{old[role]} -> {new[role].version}" for role in old if old[role] != new[role]]
        section["packages"] = {role: _as_pin(package) for role, package in new.items()}
    write_atomically(path, _first_comment(path) + yaml.safe_dump(pins, sort_keys=False))
    return changes


def _packages(section: dict[str, Any], where: str) -> dict[str, Package]:
    suites = tuple(section["suites"])
    return {
        role: Package(**pin, suites=suites, pin=f"{where}.packages.{role}")
        for role, pin in section["packages"].items()
    }


def _as_pin(package: Package) -> dict[str, str]:
    return {
        key: value
        for key, value in asdict(package).items()
        if key in ("name", "version", "architecture", "sha256")
    }


def _check_same_source(packages: dict[str, Package]) -> None:
    """Refuse a mixture: the archive may have a new kernel's headers before its signed image."""
    wanted = packages["image"].version
    for role in ("headers", "headers_common", "kbuild"):
        if packages[role].version != wanted:
            raise CarveoutError(
                f"the archive is being updated: image is {wanted}, but {packages[role]}; "
                "nothing was changed, try again later"
            )


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    length = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "".join(lines[:length])


# --- unpacking


def unpack_kernel(pin: KernelPin) -> dict[str, Any]:
    """Fetch and unpack a kernel and return what describes it, without any path of this machine."""
    root = _unpacked(list(pin.packages.values()))
    image = root / "Image"
    release = _release(root)
    _check_page_size(pin, image)
    return {
        "kernel": pin.name,
        "release": release,
        "page_bytes": pin.page_bytes,
        "image_sha256": sha256_of(image),
        "packages": [asdict(package) for package in pin.packages.values()],
    }


def unpacked_kernel(description: Path) -> Kernel:
    """Return the kernel that `unpack_kernel` described in a file, unpacked again when need be."""
    content = json.loads(description.read_text(encoding="utf-8"))
    packages = [Package(**(p | {"suites": tuple(p["suites"])})) for p in content["packages"]]
    return Kernel(content["release"], content["page_bytes"], _unpacked(packages))


def unpacked_package(package: Package) -> Path:
    """Return the folder of the cache where one package lies unpacked."""
    return cached_folder(
        "packages", package.sha256, lambda folder: unpack(fetch([package]), folder)
    )


def checkpatch(linux_source: Package) -> Path:
    """Return checkpatch.pl, out of the kernel's source package."""
    folder = cached_folder(
        "checkpatch", linux_source.sha256, lambda folder: _take_checkpatch(linux_source, folder)
    )
    return folder / "checkpatch.pl"


def _unpacked(packages: Sequence[Package]) -> Path:
    digest = sha256_of_json([_UNPACKING, sorted(package.sha256 for package in packages)])

    def fill(folder: Path) -> None:
        unpack(fetch(packages), folder)
        _merge_usr(folder)
        _write_image(folder)
        _wrap_build_programs(folder)

    return cached_folder("kernels", digest, fill)


def _release(root: Path) -> str:
    (modules,) = (root / "usr/lib/modules").iterdir()
    return modules.name


def _merge_usr(root: Path) -> None:
    """Move what older suites put at the root to where newer ones put it."""
    for name in ("lib", "lib64"):
        if (root / name).is_dir():
            shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(root / name)


def _write_image(root: Path) -> None:
    """Put the raw Image at the root; Debian calls it vmlinuz, and some kernels are compressed."""
    (vmlinuz,) = (root / "boot").glob("vmlinuz-*")
    content = vmlinuz.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if content[_ARM64_MAGIC_OFFSET:][:4] != b"ARM\x64":
        raise CarveoutError(
            f"{vmlinuz.name}: wanted an arm64 Image, raw or gzipped, found another format "
            f"({content[:8].hex()}); carveout cannot boot it"
        )
    (root / "Image").write_bytes(content)
    vmlinuz.unlink()


def _check_page_size(pin: KernelPin, image: Path) -> None:
    (flags,) = struct.unpack_from("<Q", image.read_bytes()[:64], _ARM64_FLAGS_OFFSET)
    found = _PAGE_BYTES_OF_FLAG.get(flags >> 1 & 3)
    if found != pin.page_bytes:
        image_pin = pin.packages["image"]
        raise CarveoutError(
            f"{image_pin}: wanted page_bytes {pin.page_bytes} as stated, the image has {found}"
        )


_WRAPPER = """#!/bin/sh
# The kernel's build programs need their own suite's C library, which may be newer than the host's.
here=$(cd -P -- "$(dirname -- "$0")" && pwd)
root=${here%%/usr/lib/linux-kbuild-*}
libc=$root/usr/lib/x86_64-linux-gnu
exec "$libc/ld-linux-x86-64.so.2" --library-path "$libc" --argv0 "$here/%s" "$here/%s.elf" "$@"
"""


def _wrap_build_programs(root: Path) -> None:
    for program in sorted(root.glob("usr/lib/linux-kbuild-*/scripts/**/*")):
        if program.is_symlink() or not program.is_file() or not _is_program(program):
            continue
        program.rename(program.with_name(f"{program.name}.elf"))
        program.write_text(_WRAPPER % (program.name, program.name), encoding="utf-8")
        program.chmod(0o755)


def _is_program(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _take_checkpatch(linux_source: Package, folder: Path) -> None:
    wanted = ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")
    (deb,) = fetch([linux_source])
    with tempfile.TemporaryDirectory() as name:
        unpack([deb], Path(name))
        (tree,) = Path(name).glob("usr/src/linux-source-*.tar.*")
        with tarfile.open(tree) as archive:
            found = 0
            for member in archive:
                _, _, inside = member.name.partition("/")
                if inside in {f"scripts/{file}" for file in wanted}:
                    stream = archive.extractfile(member)
                    assert stream is not None
                    (folder / Path(inside).name).write_bytes(stream.read())
                    found += 1
                if found == len(wanted):
                    return  # the rest of a gigabyte need not be decompressed
    raise CarveoutError(f"{linux_source}: wanted scripts/checkpatch.pl in it, found none")


# --- modules


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


# --- command line


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="carveout.kernels", description=__doc__)
    parser.add_argument("--pins", type=Path, default=Path("config/kernels.yaml"))
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("unpack", help="fetch and unpack a kernel, write what describes it")
    one.add_argument("kernel")
    one.add_argument("output", type=Path)
    one = commands.add_parser("busybox", help="fetch the guest's busybox")
    one.add_argument("output", type=Path)
    one = commands.add_parser("module", help="cross-build a kernel module")
    one.add_argument("description", type=Path, help="what `unpack` wrote")
    one.add_argument("source", type=Path)
    one.add_argument("output", type=Path)
    one.add_argument("--include", type=Path, action="append", default=[])
    commands.add_parser("checkpatch", help="print where checkpatch.pl lies, after fetching it")
    commands.add_parser("relock", help="pin the newest version of every package")
    return parser.parse_args()


@entry_point
def main() -> None:
    """Run one of the commands."""
    args = _arguments()
    match args.command:
        case "unpack":
            write_json_atomically(args.output, unpack_kernel(kernel_pin(args.pins, args.kernel)))
        case "busybox":
            folder = unpacked_package(pinned_package(args.pins, "guest", "busybox"))
            (program,) = folder.glob("**/bin/busybox")
            write_atomically(args.output, program.read_bytes())
        case "module":
            kernel = unpacked_kernel(args.description)
            build_module(kernel, args.source, args.include, args.output)
        case "checkpatch":
            print(checkpatch(pinned_package(args.pins, "lint", "linux_source")))
        case "relock":
            print("\n".join(relock(args.pins) or ["every pin is the newest"]))


if __name__ == "__main__":
    raise SystemExit(main())
