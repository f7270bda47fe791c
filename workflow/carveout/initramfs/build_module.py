# SPDX-License-Identifier: GPL-2.0-only
"""Our kernel module, cross-built for a kernel: ``python -m carveout.initramfs.build_module``."""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from carveout.common.errors import entry_point
from carveout.common.files import write_atomically
from carveout.common.processes import run_program
from carveout.kernels.kernel import Kernel, unpacked_kernel

_CROSS = "aarch64-linux-gnu-"


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
        command = _make_command(kernel, folder, includes)
        purpose = f"build {source} for kernel {kernel.release}"
        print(run_program(command, purpose, is_apart=True), flush=True)
        (module,) = folder.glob("*.ko")
        run_program([f"{_CROSS}strip", "--strip-debug", str(module)], f"strip {module.name}")
        write_atomically(output, module.read_bytes())


def _make_command(kernel: Kernel, folder: Path, includes: Sequence[Path]) -> list[str]:
    include_flags = [f"-I{include.resolve()}" for include in includes]
    # No path of this machine may reach the module: __FILE__ is shown by WARN().
    prefixes = [folder, kernel.root, *(include.resolve() for include in includes)]
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="carveout.initramfs.build_module", description="Cross-build a module."
    )
    parser.add_argument("kernel", type=Path, help="what describes the kernel")
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
