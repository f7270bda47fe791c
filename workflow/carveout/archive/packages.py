# SPDX-License-Identifier: GPL-2.0-only
"""Packages of any Debian suite and architecture, fetched without root and pinned by hash.

apt does the downloading and checks the archive's signatures, with state folders of our own. Which
mirror it asks is read from the host's apt configuration.
"""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from carveout.common.cache import cache_folder, locked
from carveout.common.errors import CarveoutError
from carveout.common.files import sha256_of

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# `6.12.107+deb13`, `6.1.0-42` and the like inside a kernel package's name: group 1 is the series,
# which a re-pin keeps, and group 2 is what changes with every update.
_KERNEL_ABI = re.compile(r"(?<=-)(\d+\.\d+)(\.\d[0-9A-Za-z.+~]*(?:-\d+)?)(?=-[a-z]|$)")


@dataclass(frozen=True)
class Package:
    """One pinned package.

    Attributes:
        name: as in the archive.
        version: the exact Debian version.
        architecture: `all` or Debian's name of a CPU architecture.
        sha256: of the .deb file.
        suites: where it is looked for.
        pin: the file and key that pin it, for messages.
    """

    name: str
    version: str
    architecture: str
    sha256: str
    suites: tuple[str, ...]
    pin: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.pin})"

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Package":
        """Return the package whose `asdict` went through JSON."""
        return cls(**content | {"suites": tuple(content["suites"])})


def fetch(packages: Sequence[Package]) -> list[Path]:
    """Return the checked .deb files of packages, downloading those that are not in the cache."""
    missing = [package for package in packages if not _cached(package).exists()]
    for package in packages:
        if package not in missing:
            _check_cached(package)
    if missing:
        with locked("archive"):
            # Another run may have been downloading the same until now.
            _download([package for package in missing if not _cached(package).exists()])
    return [_cached(package) for package in packages]


def newest(packages: Sequence[Package]) -> list[Package]:
    """Return pins of the newest versions of packages in their suites; kernels keep their series."""
    with locked("archive"):
        apt = _Apt.updated(packages)
        return [_newest(apt, package) for package in packages]


def with_dependencies(package: Package) -> list[Package]:
    """Return a package and all that it depends on in its suites, as apt would install it."""
    with locked("archive"):
        apt = _Apt.updated([package])
        wanted = f"{_qualified(package.name, package.architecture)}={package.version}"
        plan = apt.run("apt-get", "install", "--simulate", "--no-install-recommends", wanted)
        installed = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", plan, re.MULTILINE)
        digests = {
            (stanza["Package"], stanza["Version"], stanza["Architecture"]): stanza["SHA256"]
            for stanza in apt.stanzas(*(f"{name}={version}" for name, version, _ in installed))
        }
    return [
        replace(
            package,
            name=name,
            version=version,
            architecture=architecture,
            sha256=digests[name, version, architecture],
        )
        for name, version, architecture in installed
    ]


def unpack(debs: Iterable[Path], folder: Path) -> None:
    """Unpack .deb files over each other into a folder, all libraries below `usr`."""
    for deb in debs:
        _run(["dpkg-deb", "--extract", str(deb), str(folder)], f"unpack {deb}")
    # Older suites put at the root what newer ones put below /usr.
    for name in ("lib", "lib64"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, folder / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(folder / name)


def _cached(package: Package) -> Path:
    return cache_folder("archive") / f"{package.sha256}.deb"


def _check_cached(package: Package) -> None:
    """Refuse a damaged file; it stays, so that its owner can see what became of the disk."""
    path = _cached(package)
    try:
        found = sha256_of(path)
    except OSError as error:
        raise CarveoutError(f"cannot read {path}: {error.strerror}; it holds {package}") from error
    if found != package.sha256:
        raise CarveoutError(
            f"{path} is corrupt: wanted sha256 {package.sha256} for {package}, found {found}; "
            "delete the file and run again"
        )


def _download(packages: Sequence[Package]) -> None:
    if not packages:
        return
    apt = _Apt.updated(packages)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=cache_folder("archive")) as name:
        for architecture in sorted({package.architecture for package in packages}):
            folder = Path(name) / architecture
            folder.mkdir()
            group = [package for package in packages if package.architecture == architecture]
            _download_group(apt, group, folder)


def _download_group(apt: "_Apt", packages: Sequence[Package], folder: Path) -> None:
    """Download packages of one architecture by one call of apt, which reads its lists each time."""
    wanted = [f"{_qualified(p.name, p.architecture)}={p.version}" for p in packages]
    try:
        apt.run("apt-get", "download", *wanted, folder=folder)
    except CarveoutError:
        for package in packages:
            there = apt.versions(package.name, package.architecture)
            if package.version not in [version for version, _ in there]:
                raise _vanished(apt, package) from None
        raise
    for package in packages:
        (deb,) = folder.glob(f"{package.name}_*")
        _keep(deb, package)


def _keep(deb: Path, package: Package) -> None:
    found = sha256_of(deb)
    if found != package.sha256:
        raise CarveoutError(
            f"the archive has another {package}: wanted sha256 {package.sha256}, found {found}; "
            "if you trust it, run 'make relock'"
        )
    os.replace(deb, _cached(package))


def _vanished(apt: "_Apt", package: Package) -> CarveoutError:
    suites = " or ".join(package.suites)
    try:
        there = _newest(apt, package)
    except CarveoutError:
        return CarveoutError(
            f"{package} is no longer in suite {suites}, nor is any other version; "
            "name another suite or package there"
        )
    return CarveoutError(
        f"{package} is no longer in suite {suites}; newest is {there.name} {there.version}; "
        "run 'make relock'"
    )


def _newest(apt: "_Apt", package: Package) -> Package:
    candidates = [
        replace(package, name=name, version=version, sha256=sha256)
        for name in _names_in_series(apt, package.name)
        for version, sha256 in apt.versions(name, package.architecture)
    ]
    if not candidates:
        raise CarveoutError(f"{package} is in none of the suites {', '.join(package.suites)}")
    return functools.reduce(lambda a, b: b if _is_newer(b.version, a.version) else a, candidates)


def _names_in_series(apt: "_Apt", name: str) -> list[str]:
    """Return the names that a package has had in its kernel series; others keep their name."""
    abi = _KERNEL_ABI.search(name)
    if abi is None:
        return [name]
    before, after = name[: abi.start()] + abi[1], name[abi.end() :]
    pattern = re.compile(re.escape(before) + r"\.\d[0-9A-Za-z.+~]*(-\d+)?" + re.escape(after))
    there = apt.run("apt-cache", "pkgnames", before).split()
    return [other for other in there if pattern.fullmatch(other)]


def _is_newer(version: str, than: str) -> bool:
    command = ["dpkg", "--compare-versions", version, "gt", than]
    return subprocess.run(command, check=False).returncode == 0


@dataclass(frozen=True)
class _Apt:
    """apt with folders of its own, knowing the given suites and architectures and nothing else."""

    root: Path

    @classmethod
    def updated(cls, packages: Sequence[Package]) -> "_Apt":
        """Return an apt whose lists have just been brought up to date."""
        suites = sorted({suite for package in packages for suite in package.suites})
        machines = {package.architecture for package in packages} - {"all"}
        # Packages for all architectures are listed under each: any one will do.
        architectures = sorted(machines) or [_run(["dpkg", "--print-architecture"], "ask dpkg")]
        apt = cls(cache_folder("apt", "_".join(suites + architectures)))
        apt._configure(suites, architectures)
        apt.run("apt-get", "update")
        return apt

    def versions(self, name: str, architecture: str) -> list[tuple[str, str]]:
        """Return (version, sha256) of each version of a package that the suites have."""
        try:
            stanzas = self.stanzas(_qualified(name, architecture))
        except CarveoutError:
            return []  # apt-cache's way of saying that there is none
        return [
            (stanza["Version"], stanza["SHA256"])
            for stanza in stanzas
            if stanza.get("Package") == name and stanza.get("Architecture") == architecture
        ]

    def stanzas(self, *packages: str) -> list[dict[str, str]]:
        """Return what the suites' lists say of packages: the fields of one line."""
        text = self.run("apt-cache", "show", *packages)
        return [
            dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"\S+: ", line))
            for stanza in text.strip().split("\n\n")
        ]

    def run(self, program: str, *arguments: str, folder: Path | None = None) -> str:
        """Run one of apt's programs and return its output."""
        command = [program, "--quiet", *arguments]
        return _run(command, " ".join(command), folder, {"APT_CONFIG": str(self.root / "apt.conf")})

    def _configure(self, suites: Sequence[str], architectures: Sequence[str]) -> None:
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        (self.root / "sources.list").write_text("".join(map(_source, suites)))
        listed = " ".join(f'"{architecture}";' for architecture in architectures)
        (self.root / "apt.conf").write_text(
            f'Dir::State "{self.root}/state";\n'
            f'Dir::State::status "{self.root}/status";\n'
            f'Dir::Cache "{self.root}/cache";\n'
            f'Dir::Etc::sourcelist "{self.root}/sources.list";\n'
            'Dir::Etc::sourceparts "/dev/null";\n'
            'Dir::Etc::preferencesparts "/dev/null";\n'
            f'APT::Architecture "{architectures[0]}";\n'
            f"APT::Architectures {{ {listed} }};\n"
            'Acquire::Languages "none";\n'
            'APT::Sandbox::User "root";\n'  # apt's own user cannot enter a home folder
        )


def _source(suite: str) -> str:
    if not _KEYRING.exists():
        raise CarveoutError(f"{_KEYRING} is missing; install the package debian-archive-keyring")
    return f"deb [signed-by={_KEYRING}] {_mirror(suite)} {suite} main\n"


def _mirror(suite: str) -> str:
    """Return the mirror that the host's apt uses for Debian, or for its security updates."""
    label = "Debian-Security" if suite.endswith("-security") else "Debian"
    for site, found in _host_targets():
        if found == label:
            return site
    raise CarveoutError(
        f"apt knows no mirror of {label}, wanted for suite {suite}; "
        "name one in /etc/apt/sources.list and run 'apt-get update'"
    )


@functools.cache
def _host_targets() -> tuple[tuple[str, str], ...]:
    """Return (address, label) of each source of the host's apt."""
    ask = ["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"]
    text = _run(ask, "read the host's apt configuration")
    if not text.strip():
        text = _targets_without_lists(ask)
    pairs = (line.split(" ", 1) for line in text.splitlines() if " " in line)
    return tuple((site, label) for site, label in pairs)


def _targets_without_lists(ask: Sequence[str]) -> str:
    """Answer for a host whose lists were removed: apt knows the labels only from them."""
    with tempfile.TemporaryDirectory() as folder:
        private = ["-o", f"Dir::State::lists={folder}", "-o", "APT::Sandbox::User=root"]
        _run(["apt-get", "--quiet", *private, "update"], "apt-get update")
        return _run([ask[0], *private, *ask[1:]], "read the host's apt configuration")


def _qualified(name: str, architecture: str) -> str:
    return name if architecture == "all" else f"{name}:{architecture}"


def _run(
    command: Sequence[str],
    purpose: str,
    folder: Path | None = None,
    variables: dict[str, str] | None = None,
) -> str:
    if shutil.which(command[0]) is None:
        raise CarveoutError(f"cannot {purpose}: {command[0]} is not on PATH; run envs/install.sh")
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        errors = [line for line in said if line.startswith("E:")] or said[-1:] or ["no message"]
        raise CarveoutError(f"could not {purpose}: {' '.join(errors)}")
    return done.stdout.strip()
