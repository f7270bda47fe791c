# SPDX-License-Identifier: GPL-2.0-only
"""An archive of Debian's form, made for tests: on disk, signed by a key of its own.

It is reached as Debian's is, by way of the host's apt configuration, in whose place an APT_CONFIG
names it and its key.
"""

import functools
import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from carveout.archive.apt import asked
from carveout.archive.package import Package, PackageSet
from carveout.common.files import sha256_of
from tests.unit.made_packages import SUITES, build_deb, control_of, image_files

_ARCHITECTURES = ("amd64", "arm64")
# The roles of a kernel's packages: names and architectures.
_KERNEL = {
    "image": ("linux-image-{}-arm64", "arm64"),
    "headers": ("linux-headers-{}-arm64", "arm64"),
    "headers_common": ("linux-headers-{}-common", "all"),
    "kbuild": ("linux-kbuild-{}", "amd64"),
}

# apt does not say the label of an archive that is empty.
_NEVER_EMPTY = (
    "Package: made\nVersion: 1\nArchitecture: {}\nFilename: made.deb\nSize: 1\n"
    f"SHA256: {'0' * 64}\n\n"
)


@dataclass(frozen=True)
class SigningKey:
    """A key with a GnuPG home of its own."""

    home: Path

    @classmethod
    @contextmanager
    def generated(cls, home: Path) -> Iterator["SigningKey"]:
        """Give a new key; its agent ends with the block."""
        home.mkdir(mode=0o700)
        key = cls(home)
        try:
            key._gpg("--passphrase", "", "--quick-generate-key", "made", "ed25519", "sign", "never")
            key.keyring.write_bytes(key._gpg("--export"))
            yield key
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env=key._environment(), check=False)

    @property
    def keyring(self) -> Path:
        """The public key."""
        return self.home / "public.gpg"

    def signed(self, text: str) -> bytes:
        """The text with the signature around it."""
        return self._gpg("--clearsign", text=text)

    def _gpg(self, *arguments: str, text: str = "") -> bytes:
        return subprocess.run(
            ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments],
            env=self._environment(),
            input=text.encode(),
            check=True,
            capture_output=True,
        ).stdout

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.home)}


@dataclass
class Archive:
    """An archive with one suite. What a test changes is seen after `publish`.

    Attributes:
        root: the folder.
        key: which signs.
        stanzas: what the suite has: the index's text on each package.
        publications: how many there have been.
    """

    root: Path
    key: SigningKey
    stanzas: dict[Package, str] = field(default_factory=dict)
    publications: int = 0

    def add(
        self,
        name: str,
        version: str,
        architecture: str = "arm64",
        *,
        depends: str = "",
        files: Mapping[str, bytes] | None = None,
    ) -> Package:
        """Build a package, put it into the suite and return its pin."""
        package = Package(name, version, architecture, "", SUITES)
        deb = self.root / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        self.root.mkdir(parents=True, exist_ok=True)
        build_deb(deb, control_of(package, depends), files or {"version": version.encode()})
        package = replace(package, sha256=sha256_of(deb), pin=f"pins.yaml: {name}")
        self.stanzas[package] = (
            f"{control_of(package, depends)}Filename: {deb.name}\nSize: {deb.stat().st_size}\n"
            f"SHA256: {package.sha256}\n\n"
        )
        return package

    def add_kernel(self, abi: str, version: str) -> PackageSet:
        """Put the packages of a kernel into the suite and return its pins."""
        files = {"image": image_files(f"{abi}-arm64")}
        return PackageSet(
            {
                role: self.add(name.format(abi), version, architecture, files=files.get(role))
                for role, (name, architecture) in _KERNEL.items()
            }
        )

    def drop(self, *packages: Package) -> None:
        """Take packages out of the suite."""
        for package in packages:
            del self.stanzas[package]

    def drop_set(self, packages: PackageSet) -> None:
        """Take packages that belong together out of the suite."""
        self.drop(*packages.packages.values())

    def publish(self) -> None:
        """Write the suite's index, signed, and forget what this process knows of the suite."""
        self.publications += 1
        suite = self.root / "dists/made"
        index = {}
        for architecture in _ARCHITECTURES:
            path = suite / f"main/binary-{architecture}/Packages"
            path.parent.mkdir(parents=True, exist_ok=True)
            there = (architecture, "all")
            stanzas = [text for p, text in self.stanzas.items() if p.architecture in there]
            path.write_text("".join([_NEVER_EMPTY.format(architecture), *stanzas]))
            index[f"main/binary-{architecture}/Packages"] = path.read_bytes()
        release = suite / "InRelease"
        release.write_bytes(self.key.signed(self._release(index)))
        # apt takes a file of the same time for the one that it has.
        os.utime(release, (1_600_000_000 + self.publications,) * 2)
        asked.cache_clear()

    def tamper(self) -> None:
        """Change what is signed, but not the signature."""
        release = self.root / "dists/made/InRelease"
        release.write_text(release.read_text().replace("Codename: made", "Codename: mad3"))
        asked.cache_clear()

    def unsign(self) -> None:
        """Have no signature."""
        release = self.root / "dists/made/InRelease"
        text = release.read_text().partition("\n\n")[2].partition("-----BEGIN")[0]
        release.with_name("Release").write_text(text)
        release.unlink()
        asked.cache_clear()

    def vanish(self) -> None:
        """Be reached no more, as a folder that is not mounted."""
        self.root.rename(self.root.with_name("vanished"))
        asked.cache_clear()

    def _release(self, index: Mapping[str, bytes]) -> str:
        sums = "".join(
            f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}\n"
            for path, content in index.items()
        )
        return (
            "Origin: Debian\nLabel: Debian\nSuite: made\nCodename: made\n"
            f"Architectures: {' '.join(_ARCHITECTURES)}\nComponents: main\n"
            f"Date: Wed, 01 Jan 2020 00:00:{self.publications:02} UTC\nSHA256:\n{sums}"
        )


def configure_host(folder: Path, address: str, keyring: Path) -> Path:
    """Write an apt.conf that knows one archive and nothing else, for APT_CONFIG."""
    (folder / "lists/partial").mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb [signed-by={keyring}] {address} made main\n")
    path = folder / "apt.conf"
    path.write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\n'
        'Dir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::lists "{folder}/lists";\n'
        'Acquire::Languages "none";\n'
        'Acquire::Retries "0";\n'
        'APT::Sandbox::User "root";\n'
        f'Carveout::Keyring "{keyring}";\n'
    )
    return path


def update_host() -> None:
    """Have the host's apt lists; from them it knows which archive is Debian's."""
    subprocess.run(["apt-get", "--quiet", "update"], check=True, capture_output=True)


@contextmanager
def served(folder: Path, *, status: int | None = None) -> Iterator[str]:
    """Give the address of a folder on loopback http; after the block it refuses.

    Args:
        folder: what is there.
        status: which is the answer to everything, if one is given.
    """

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if status is None:
                super().do_GET()
            else:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
