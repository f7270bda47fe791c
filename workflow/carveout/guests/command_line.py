# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: what its program is, and the command line of a repeatable guest."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from carveout.common.processes import run_program
from carveout.common.sizes import MIB

# The size of QEMU's cache of translated guest code; its default of 1 GiB is too large for a useful
# bound. A boot of Debian's kernel translates 50 MB, a trial after it 20 MB.
TRANSLATION_CACHE_BYTES = 128 * MIB

# QEMU itself beside the guest's RAM and its translations: measured 130 MB while it boots, of which
# 45 MB are copies of kernel and initrd.
_QEMU_ITSELF_BYTES = 256 * MIB

# Kernel arguments of every host under test. `quiet`, no tests of ciphers and no test of the CPU's
# jitter (see initcall_debug) change no memory that is measured; panic=-1 makes a panic end the
# guest, and oops=panic that a kernel which has gone wrong measures no further. With
# init_on_alloc=1, Debian's default, the page allocator clears some strategies' pages twice, some
# once and some never. A CMA area that no strategy asks for would be movable memory that some hosts
# have and others not: Debian's kernels reserve one of 64 MiB by default. A variant's arguments
# come later, and the last one counts.
KERNEL_ARGS = (
    "console=ttyAMA0 nokaslr quiet cryptomgr.notests initcall_blacklist=jent_mod_init panic=-1 "
    "oops=panic init_on_alloc=0 cma=0"
)


@dataclass(frozen=True)
class Machine:
    """The machine that QEMU emulates: what the command line needs beside the files."""

    qemu: str
    cpu_model: str
    cpus: int
    ram_bytes: int
    kernel_args: str
    qemu_args: Sequence[str]
    # Whether the kernel gets EL2, where KVM can run VMs.
    virtualization: bool


@dataclass(frozen=True)
class GuestFiles:
    """The files of one guest: what it reads, what it writes, and what QEMU says of it."""

    kernel: Path
    initrd: Path
    device_tree: Path | None
    parameters: Path
    console: Path
    records: Path
    messages: Path
    discards: Path


def most_memory_bytes(touched_bytes: int) -> int:
    """Return the most memory of the runner that a QEMU takes whose guest touches so much RAM."""
    return touched_bytes + TRANSLATION_CACHE_BYTES + _QEMU_ITSELF_BYTES


def machine_args(machine: Machine) -> list[str]:
    """Return QEMU's arguments for a machine, without any path: they are part of a trial's digest.

    The instruction counter is the guest's clock (one instruction, one nanosecond), all seeds are
    fixed, and nothing reaches the guest but by its own synchronous reads.
    """
    virtualization = ",virtualization=on" if machine.virtualization else ""
    return [
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        "-machine",
        f"virt,gic-version=3,dtb-randomness=off,memory-backend=ram{virtualization}",
        *("-cpu", machine.cpu_model, "-smp", str(machine.cpus)),
        *("-m", f"{machine.ram_bytes // MIB}M"),
        # Not reserved: of a host that is only counted, most RAM is never touched, and the machine
        # may have less than it.
        *("-object", f"memory-backend-ram,id=ram,size={machine.ram_bytes // MIB}M,reserve=off"),
        *("-accel", f"tcg,tb-size={TRANSLATION_CACHE_BYTES >> 20}"),
        *("-icount", "shift=0,sleep=off"),
        *("-seed", "1", "-rtc", "base=2020-01-01,clock=vm"),
        *("-device", "pvpanic-pci", "-device", "i6300esb"),
        # Whatever becomes of the guest, QEMU stays: it can be asked, and restored to a state.
        *("-action", "panic=pause,watchdog=pause,reboot=shutdown,shutdown=pause"),
        *("-append", f"{KERNEL_ARGS} {machine.kernel_args}".strip()),
        *machine.qemu_args,
    ]


def synchronous_args(qemu: str, args: Sequence[str]) -> list[str]:
    """Return the arguments that make the virtio devices among `args` act on the guest's own time.

    With ioeventfd, the default of newer QEMUs for every virtio-pci device, a guest that notifies a
    device wakes another thread of QEMU, and the device acts whenever that comes to it: trials would
    not repeat. Without ioeventfd, the device acts within the guest's instruction. Devices of older
    QEMUs lack the property, and QEMU does not start with a property that it does not know: so QEMU
    is asked first.
    """
    named = {arg.partition(",")[0] for option, arg in pairwise(args) if option == "-device"}
    return [
        word
        for device in sorted(name for name in named if name.startswith("virtio-"))
        if "ioeventfd=" in _device_help(qemu, device)
        for word in ("-global", f"{device}.ioeventfd=off")
    ]


def _device_help(qemu: str, device: str) -> str:
    return run_program([qemu, "-device", f"{device},help"], f"ask {qemu} for {device}")


def file_args(files: GuestFiles) -> list[str]:
    """Return QEMU's arguments for a guest's files."""
    return [
        *("-kernel", str(files.kernel), "-initrd", str(files.initrd)),
        *(("-dtb", str(files.device_tree)) if files.device_tree else ()),
        *("-fw_cfg", f"name=opt/carveout/parameters,file={_value(files.parameters)}"),
        *("-chardev", f"file,id=console,path={_value(files.console)},append=on"),
        *("-serial", "chardev:console"),
        *("-chardev", f"file,id=records,path={_value(files.records)},append=on"),
        *("-device", "pci-serial,chardev=records"),
    ]


def _value(path: Path) -> str:
    """Return a path as the value of an option, in which QEMU wants a comma twice."""
    return str(path).replace(",", ",,")
