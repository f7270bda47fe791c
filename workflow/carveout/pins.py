# SPDX-License-Identifier: GPL-2.0-only
"""kernels.yaml: which packages are pinned, and how they are pinned anew."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from carveout import schemas
from carveout.archive import Package, newest
from carveout.errors import CarveoutError, entry_point
from carveout.files import write_atomically


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


@entry_point
def main() -> None:
    """Pin the newest of everything and say what changed."""
    print("\n".join(relock(Path("config/kernels.yaml")) or ["every pin is the newest"]))


if __name__ == "__main__":
    raise SystemExit(main())
