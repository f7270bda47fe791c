# SPDX-License-Identifier: GPL-2.0-only
"""Our kernel module, cross-built for a kernel."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from carveout.common.cache import cached_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder, sha256_of, sha256_of_json, write_atomically
from carveout.common.processes import run_program
from carveout.kernels.kernel import Kernel

_CROSS = "aarch64-linux-gnu-"
_MODULE = "module.ko"
_BUILT, _INCLUDED = "module", "include"
_SAFE_PATH = re.compile(r"[\w/.+-]+")


def build_module(kernel: Kernel, source: Path, includes: Sequence[Path]) -> bytes:
    """Cross-build the one module of a folder with a Kbuild file; same inputs, same bytes.

    It is built once for all folders of results: the cache has one for each of what it is made of.

    Args:
        kernel: the kernel that shall load it.
        source: the folder; its one module is taken.
        includes: further folders of headers.
    """

    def build(built: Path) -> None:
        with job_folder() as folder:
            write_atomically(built / _MODULE, _built_module(kernel, source, includes, folder))

    made_of = _digest_of_inputs(kernel, [source, *includes])
    cached = cached_folder("modules", made_of, build)
    return (cached / _MODULE).read_bytes()


def _built_module(kernel: Kernel, source: Path, includes: Sequence[Path], folder: Path) -> bytes:
    """Return the module as it is built of copies of all its sources, in a folder."""
    for name, path in {"XDG_CACHE_HOME": kernel.root, "TMPDIR": folder}.items():
        _check_path(name, path)
    built = folder / _BUILT
    shutil.copytree(source, built)
    copies = [folder / f"{_INCLUDED}{number}" for number in range(len(includes))]
    for include, copy in zip(includes, copies, strict=True):
        shutil.copytree(include, copy)
    command = _make_command(kernel, built, copies)
    purpose = f"build {source} for kernel {kernel.release}"
    print(run_program(command, purpose, is_apart=True), flush=True)
    (module,) = built.glob("*.ko")
    run_program([f"{_CROSS}strip", "--strip-debug", str(module)], f"strip {module.name}")
    return module.read_bytes()


def _check_path(name: str, path: Path) -> None:
    """Refuse what the kernel's Makefiles take apart, or hand to a shell."""
    if not _SAFE_PATH.fullmatch(str(path)):
        raise CarveoutError(
            f"{name}: wanted a path of letters, digits and / . _ + - alone, in which kernel "
            f"modules can be built, found {str(path)!r}; let {name} name another folder"
        )


def _digest_of_inputs(kernel: Kernel, folders: Sequence[Path]) -> str:
    """Return the digest of all that the module's bytes depend on.

    The kernel's own folder in the cache is named by all that it consists of.
    """
    files = [
        (str(path.relative_to(folder.parent)), sha256_of(path))
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    tools = [
        run_program([f"{_CROSS}{tool}", "--version"], f"ask for the version of {tool}")
        for tool in ("gcc", "ld")
    ]
    this = sha256_of(Path(__file__))
    return sha256_of_json([this, kernel.root.name, kernel.release, files, tools])


def _make_command(kernel: Kernel, folder: Path, includes: Sequence[Path]) -> list[str]:
    include_flags = [f"-I{include}" for include in includes]
    # No path of this machine may reach the module: __FILE__ is shown by WARN().
    prefixes = [folder, kernel.root, *includes]
    map_flags = [f"-ffile-prefix-map={prefix}/=" for prefix in prefixes]
    return [
        "make",
        f"--directory={kernel.headers}",
        f"--file={kernel.headers_common}/Makefile",
        f"O={kernel.headers}",  # newer kernels take the top Makefile's folder otherwise
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
