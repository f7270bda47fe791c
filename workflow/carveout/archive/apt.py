# SPDX-License-Identifier: GPL-2.0-only
"""apt with folders of its own: it says what some suites have, whatever the host's suite is.

apt does the downloading and checks the archive's signatures. Which mirror it asks is read from the
host's apt configuration.
"""

import functools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carveout.common.cache import cache_folder
from carveout.common.errors import CarveoutError
from carveout.common.files import job_folder
from carveout.common.processes import ProgramError, run_program

# Where the keyring of Debian's own archive is: in the system, or in the environment where tools
# were unpacked without root. apt.conf's Carveout::Keyring names another, for a mirror that is
# signed by a key of its own.
_KEYRINGS = (Path("/usr/share/keyrings"), Path(sys.prefix, "share/keyrings"))
# Fetched packages run in the arm64 host under test, or on amd64 to build for it.
_ARCHITECTURES = ("amd64", "arm64")
# What apt says when no server answered, as opposed to a wrong answer. A proxy answers 5xx in place
# of a server that does not; of a mirror in a missing folder, apt says that it has no Release file.
_NO_ANSWER = re.compile(
    r"Could not (connect|resolve)|Temporary failure|Connection (failed|refused|timed out|closed)"
    r"|Unable to connect|Cannot initiate|Network is unreachable|No route to host"
    r"|Something wicked happened resolving|Error reading from server"
    r"|  (429|5\d\d)  |'file:[^']*' (does not have|no longer has) a Release file"
)
# Without "is not signed": apt says that of a repository that did not answer, too.
_WRONG_SIGNATURE = re.compile(r"signature|GPG error|no longer signed|isn't valid", re.IGNORECASE)
# As strict as this, even if the host's configuration is not.
_STRICT = [
    *("-o", "Acquire::AllowInsecureRepositories=false"),
    *("-o", "Acquire::AllowWeakRepositories=false"),
    *("-o", "Acquire::AllowDowngradeToInsecureRepositories=false"),
    *("-o", "APT::Get::AllowUnauthenticated=false"),
]
# A line of apt's simulation: name, version and architecture of a package from the suites.
_INSTALLED = re.compile(r"^Inst (\S+?)(?::\w+)? \((\S+) (?!local-deb).*\[(\w+)\]\)", re.MULTILINE)


class UnreachableError(CarveoutError):
    """Nobody answered where the archive should be."""


@dataclass(frozen=True)
class Apt:
    """apt that knows the given suites and nothing else."""

    root: Path

    @classmethod
    def of(cls, suites: tuple[str, ...]) -> "Apt":
        """Return an apt whose lists this process has brought up to date.

        Raises:
            UnreachableError: the archive does not answer.
            CarveoutError: the archive's signature is wrong, or it has no such suite.
        """
        found = asked(suites)
        if isinstance(found, UnreachableError):
            raise found
        return found

    def update(self, suites: Sequence[str]) -> None:
        """Bring the lists of some suites up to date."""
        self._configure(suites)
        # Without this, apt passes over a mirror that fails and takes old lists for new ones.
        self._run("apt-get", "-o", "APT::Update::Error-Mode=any", "update")

    def names(self, beginning: str) -> list[str]:
        """Return the names of packages that begin with `beginning`."""
        return self._run("apt-cache", "pkgnames", beginning).split()

    def versions(self, name: str, architecture: str) -> list[tuple[str, str]]:
        """Return (version, sha256) of each version of a package that the suites have."""
        try:
            stanzas = self._stanzas(_qualified(name, architecture))
        except CarveoutError:
            return []  # apt-cache's way of saying that there is none
        return [
            (stanza["Version"], stanza["SHA256"])
            for stanza in stanzas
            if stanza.get("Package") == name and stanza.get("Architecture") == architecture
        ]

    def dependencies(self, deb: Path) -> list[tuple[str, str, str, str]]:
        """Return (name, version, architecture, sha256) of all that a .deb file depends on."""
        plan = self._run("apt-get", "install", "--simulate", "--no-install-recommends", str(deb))
        installed = _INSTALLED.findall(plan)
        stanzas = self._stanzas(*(f"{_qualified(n, a)}={v}" for n, v, a in installed))
        digests = {(s["Package"], s["Version"], s["Architecture"]): s["SHA256"] for s in stanzas}
        return [(*package, digests[package]) for package in installed]

    def download(self, packages: Sequence[tuple[str, str, str]], folder: Path) -> None:
        """Download packages by (name, architecture, version) into a folder."""
        wanted = [f"{_qualified(name, arch)}={version}" for name, arch, version in packages]
        self._run("apt-get", "download", *wanted, folder=folder)

    def _stanzas(self, *packages: str) -> list[dict[str, str]]:
        """Return the fields that the suites' lists have for packages: of each its first line."""
        if not packages:
            return []
        text = self._run("apt-cache", "show", *packages)
        return [
            dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"\S+: ", line))
            for stanza in text.strip().split("\n\n")
        ]

    def _run(self, program: str, *arguments: str, folder: Path | None = None) -> str:
        command = [program, "--quiet", *_STRICT, *arguments]
        words = [word for word in arguments if "::" not in word and not word.startswith("-")]
        return run_program(
            command,
            " ".join([program, *words]),
            folder=folder,
            variables={"APT_CONFIG": str(self.root / "apt.conf")},
        )

    def _configure(self, suites: Sequence[str]) -> None:
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        (self.root / "sources.list").write_text("".join(map(_source, suites)))
        listed = " ".join(f'"{architecture}";' for architecture in _ARCHITECTURES)
        (self.root / "apt.conf").write_text(
            f'Dir::State "{self.root}/state";\n'
            f'Dir::State::status "{self.root}/status";\n'
            f'Dir::Cache "{self.root}/cache";\n'
            f'Dir::Etc::sourcelist "{self.root}/sources.list";\n'
            'Dir::Etc::sourceparts "/dev/null";\n'
            'Dir::Etc::preferencesparts "/dev/null";\n'
            f'APT::Architecture "{_ARCHITECTURES[0]}";\n'
            f"APT::Architectures {{ {listed} }};\n"
            'Acquire::Languages "none";\n'
            'APT::Sandbox::User "root";\n'  # apt's own user cannot enter a home folder
        )


@functools.cache
def asked(suites: tuple[str, ...]) -> Apt | UnreachableError:
    """Bring the lists up to date, or return why not, once per process: each try takes seconds."""
    apt = Apt(cache_folder("apt", "_".join(suites)))
    try:
        apt.update(suites)
    except CarveoutError as error:
        said = error.said if isinstance(error, ProgramError) else str(error)
        if _NO_ANSWER.search(said) and not _WRONG_SIGNATURE.search(said):
            return UnreachableError(
                f"the archive with suite {' and '.join(suites)} does not answer: {error}"
            )
        raise
    return apt


def _source(suite: str) -> str:
    keyring = _keyring()
    if not keyring.exists():
        raise CarveoutError(f"{keyring} is missing; install the package debian-archive-keyring")
    return f"deb [signed-by={keyring}] {_mirror(suite)} {suite} main\n"


def _keyring() -> Path:
    said = run_program(
        ["apt-config", "shell", "keyring", "Carveout::Keyring"], "read the host's apt configuration"
    )
    named = said.partition("=")[2].strip("'")
    if named:
        return Path(named)
    debian = [folder / "debian-archive-keyring.gpg" for folder in _KEYRINGS]
    return next((keyring for keyring in debian if keyring.exists()), debian[0])


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


def _host_targets() -> list[tuple[str, str]]:
    """Return (address, label) of each source of the host's apt."""
    ask = ["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"]
    text = run_program(ask, "read the host's apt configuration")
    if not text.strip():
        text = _targets_without_lists(ask)
    pairs = (line.split(" ", 1) for line in text.splitlines() if " " in line)
    return [(site, label) for site, label in pairs]


def _targets_without_lists(ask: Sequence[str]) -> str:
    """Return the sources of a host whose lists were removed.

    apt knows the labels only from the lists, so it fetches them into a temporary folder.
    """
    with job_folder() as folder:
        private = ["-o", f"Dir::State::lists={folder}", "-o", "APT::Sandbox::User=root"]
        failure = None
        try:
            update = ["apt-get", "--quiet", *private, "-o", "APT::Update::Error-Mode=any", "update"]
            run_program(update, "apt-get update")
        except CarveoutError as error:
            failure = error  # maybe of a source that is not needed here
        found = run_program([ask[0], *private, *ask[1:]], "read the host's apt configuration")
        if failure and not found:
            raise failure
        return found


def _qualified(name: str, architecture: str) -> str:
    return name if architecture == "all" else f"{name}:{architecture}"
