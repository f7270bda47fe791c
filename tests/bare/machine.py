# SPDX-License-Identifier: GPL-2.0-only
"""A bare machine: what every Debian has, apt and make, in a folder that nobody's user enters.

It has processes of its own and, when it is to have no network, one without interfaces. To make it
and to enter it takes root here; who is inside has none.
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Beyond what is essential: what any Debian that people use has, and make.
_PACKAGES = "apt debian-archive-keyring make"
_USER = 1000
_HOME = "home/someone"
# What is there of the machine that runs the test, so that its network can be used as it is here.
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")

# Arguments: root, user, a folder to bind or nothing, then the command.
_ENTER = """
root=$1 user=$2; shift 2
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --bind -o ro "$1" "$root$1"
    shift
done
shift
exec chroot --userspec="$user:$user" "$root" "$@"
"""


@dataclass(frozen=True)
class BareMachine:
    """A folder with a root file system."""

    root: Path

    @property
    def home(self) -> Path:
        """The user's home, as it is called outside."""
        return self.root / _HOME

    def run(self, script: str, *, network: bool) -> subprocess.CompletedProcess[str]:
        """Run a shell script in the user's home.

        Args:
            script: what sh is to do.
            network: whether this machine's network is there, with apt and pip configured for it.
        """
        namespaces = ["--mount", "--pid", "--fork", "--ipc", "--uts"]
        settings = _pip_settings() if network else {}
        folders = list(_folders_of(settings.values()))
        variables = {"PATH": "/usr/bin:/bin", "HOME": f"/{_HOME}", **settings}
        return subprocess.run(
            [
                *("unshare", *namespaces, *([] if network else ["--net"])),
                *("sh", "-ec", _ENTER, "sh", str(self.root), str(_USER), *folders, "--"),
                *("/usr/bin/env", "--ignore-environment", f"--chdir=/{_HOME}"),
                *(f"{name}={value}" for name, value in variables.items()),
                *("sh", "-ec", script),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    def give(self, source: Path, name: str) -> None:
        """Put a copy of a file or a folder into the user's home."""
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, self.home / name)
        for path in (self.home / name, *(self.home / name).rglob("*")):
            os.chown(path, _USER, _USER, follow_symlinks=False)


def make_bare_machine(root: Path) -> BareMachine:
    """Unpack a bare machine of this one's suite into a folder."""
    root.mkdir(parents=True)
    _unpack(root, _download(root.parent / "packages"))
    shutil.copytree("/etc/apt", root / "etc/apt", dirs_exist_ok=True)
    for name in _NETWORK_FILES:
        if Path(name).exists():
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, root / name[1:])
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    with (root / "etc/passwd").open("a") as stream:
        stream.write(f"someone:x:{_USER}:{_USER}::/{_HOME}:/bin/sh\n")
    machine = BareMachine(root)
    machine.home.mkdir()
    os.chown(machine.home, _USER, _USER)
    (root / "tmp").chmod(0o1777)
    return machine


def _download(folder: Path) -> Sequence[Path]:
    """Return the packages that a bare machine consists of, as apt would install them."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    settings = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
    }
    apt = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in settings.items())]
    ask = ["dpkg-query", "--show", "--showformat", "${Package} ${Essential}\n"]
    said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    essential = [line.split()[0] for line in said.splitlines() if line.endswith(" yes")]
    subprocess.run([*apt, "update"], check=True, capture_output=True)
    install = [*apt, "--download-only", "install", *_PACKAGES.split(), *essential]
    subprocess.run(install, check=True, capture_output=True)
    return sorted(folder.glob("archives/*.deb"))


def _unpack(root: Path, debs: Sequence[Path]) -> None:
    """Unpack packages, and write down that they are installed."""
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    installed = []
    for deb in debs:
        script = 'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"'
        subprocess.run(["sh", "-c", script, "sh", deb, root], check=True)
        control = subprocess.run(
            ["dpkg-deb", "--field", deb], capture_output=True, text=True, check=True
        ).stdout
        installed.append(control.strip() + "\nStatus: install ok installed\n")
    # What installing does beyond unpacking.
    (root / "usr/bin/awk").symlink_to("mawk")
    (root / "usr/bin/which").symlink_to("which.debianutils")
    (root / "var/lib/dpkg/status").write_text("\n".join(installed))


def _pip_settings() -> dict[str, str]:
    """Return how pip and proxies are configured here, as variables of the environment."""
    ask = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    pairs = (line.partition("=") for line in said.splitlines())
    pip = {
        f"PIP_{name.rpartition('.')[2].replace('-', '_').upper()}": str(ast.literal_eval(value))
        for name, _, value in pairs
    }
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return pip | proxies


def _folders_of(values: Iterable[str]) -> Iterator[str]:
    """Yield the folders of this machine that settings of pip name, or in which their files lie."""
    found = set()
    for value in values:
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                # The pages of an index name files that lie beside it.
                is_whole = path.is_dir() and not word.startswith("file://")
                found.add(path if is_whole else path.parent)
    yield from (str(path) for path in sorted(found) if path != Path("/"))
