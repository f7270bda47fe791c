# SPDX-License-Identifier: GPL-2.0-only
"""kernels.yaml and qemus.yaml: which packages are pinned, and how they are pinned anew."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from carveout.archive.foreign import linked_packages
from carveout.archive.packages import Package, newest, with_dependencies
from carveout.common import schemas
from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import write_atomically

# Where the program lies in the package that the role `program` of a QEMU pins.
QEMU_PROGRAM = "usr/bin/qemu-system-aarch64"


@dataclass(frozen=True)
class KernelPin:
    """One kernel of kernels.yaml: its page size as stated there, and its packages by their role."""

    name: str
    page_bytes: int
    packages: dict[str, Package]


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


def read_qemus(path: Path) -> dict[str, list[Package]]:
    """Return the packages of each QEMU of qemus.yaml, checked against its schema."""
    return {
        name: list(_packages(qemu, f"{path}: {name}").values())
        for name, qemu in _read_qemus(path).items()
    }


def relock(path: Path) -> list[str]:
    """Pin the newest version of every package of kernels.yaml and return what changed.

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
        changes += _changes(old, new)
        section["packages"] = {role: _as_pin(package) for role, package in new.items()}
    _write_pins(path, pins)
    return changes


def relock_qemus(path: Path) -> list[str]:
    """Pin the newest version of every QEMU with the libraries that it links to; see `relock`."""
    qemus = _read_qemus(path)
    changes = []
    for name, qemu in qemus.items():
        old = _packages(qemu, f"{path}: {name}")
        (program,) = newest([old["program"]])
        linked = linked_packages(QEMU_PROGRAM, with_dependencies(program))
        libraries = {p.name: p for p in sorted(linked, key=lambda p: p.name)}
        del libraries[program.name]
        new = {"program": program, **libraries}
        qemu["packages"] = {role: _as_pin(package) for role, package in new.items()}
        changes += _changes(old, _packages(qemu, f"{path}: {name}"))
    _write_pins(path, qemus)
    return changes


def _changes(old: dict[str, Package], new: dict[str, Package]) -> list[str]:
    """Say which versions changed, and which packages came and went."""
    gone = [f"{package} -> none" for role, package in old.items() if role not in new]
    come = [f"none -> {package}" for role, package in new.items() if role not in old]
    both = [role for role in old if role in new and old[role] != new[role]]
    return gone + come + [f"{old[role]} -> {new[role].version}" for role in both]


def _read_qemus(path: Path) -> dict[str, Any]:
    qemus: dict[str, Any] = schemas.load_yaml(path)
    schemas.check(qemus, "qemus", str(path))
    return qemus


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


def _write_pins(path: Path, pins: dict[str, Any]) -> None:
    """Write pins with one line a package, however long."""
    content = yaml.safe_dump(pins, sort_keys=False, default_flow_style=None, width=1000)
    write_atomically(path, _first_comment(path) + content)


def _first_comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    length = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "".join(lines[:length])


@entry_point
def main() -> None:
    """Pin the newest of everything and say what changed."""
    changes = relock(Path("config/kernels.yaml")) + relock_qemus(Path("config/qemus.yaml"))
    print("\n".join(changes or ["every pin is the newest"]))


if __name__ == "__main__":
    raise SystemExit(main())
