# SPDX-License-Identifier: GPL-2.0-only
"""Slurm on the loopback host: a controller and two nodes, in namespaces of their own.

The daemons see a configuration of their own in /etc/slurm, the machine keeps its own, and whatever
becomes of the test, none of them outlives it: their first process is killed with it. Of networks
they and their jobs have the loopback alone.
"""

import os
import platform
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

NODES = ("one", "two")
_START_LIMIT_S = 120

_CONFIG = """
ClusterName=carveout
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=100000
SlurmdTimeout=20
MpiDefault=none
PartitionName=main Nodes=ALL Default=YES State=UP
"""
_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
    "CPUs=1 RealMemory={memory} TmpDisk=100000\n"
)
# In the environment of a node's daemons; what these run has a variable of Slurm's own.
_MARK = "NODE_OF_THE_TEST"
_KILL = (
    'for process in /proc/[0-9]*; do grep -qszxE "$0" "$process/environ" && '
    'kill -9 "${process#/proc/}"; done; true'
)


@dataclass(frozen=True)
class Slurm:
    """A running Slurm."""

    folder: Path
    first_pid: int

    def command(self, words: Sequence[str], folder: Path = Path("/")) -> list[str]:
        """Return a command that runs where the daemons are, in a folder."""
        enter = ["nsenter", f"--target={self.first_pid}", "--mount", "--pid", "--net", "--"]
        # A folder that was opened outside lies on another mount than the same by its name inside.
        return [*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(folder), *words]

    def run(self, *words: str) -> str:
        """Run a program where the daemons are, and return what it says."""
        command = self.command(words)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def interfaces(self) -> list[str]:
        """Return the names of the network's interfaces that a job finds."""
        lines = self.run("srun", "cat", "/proc/net/dev").splitlines()
        return [line.partition(":")[0].strip() for line in lines if ":" in line]

    def start_node(self, name: str) -> None:
        """Start a node's daemon."""
        self.run("env", f"{_MARK}={name}", "slurmd", "-N", name)

    def lose_node(self, name: str) -> None:
        """Kill a node's daemon and all that runs on it, as if its power had gone."""
        self.run("sh", "-c", _KILL, f"({_MARK}|SLURMD_NODENAME)={name}")


@contextmanager
def running_slurm(folder: Path) -> Iterator[Slurm]:
    """Start a Slurm with two nodes; end it with all that it runs."""
    for name in ("munge", "state", *(f"spool/{node}" for node in NODES)):
        (folder / name).mkdir(mode=0o700, parents=True)
    (folder / "munge/key").write_bytes(os.urandom(1024))
    (folder / "munge/key").chmod(0o600)
    host = platform.node()
    config = _CONFIG.format(host=host, folder=folder)
    for port, name in enumerate(NODES, start=17001):
        config += _NODE.format(name=name, host=host, port=port, memory=4096)
    (folder / "etc").mkdir()
    (folder / "etc/slurm.conf").write_text(config)
    mount = f'mount --bind "{folder}/etc" /etc/slurm'
    # glibc takes a machine that has no other address than 127.0.0.1 to be without IPv4.
    network = "ip link set lo up && ip address add 127.0.0.2 dev lo"
    begin = f"{mount} && {network} && exec sleep infinity"
    words = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--net", "--fork"]
    words += ["--mount-proc", "--kill-child", "--"]
    with subprocess.Popen([*words, "sh", "-c", begin]) as holder:
        try:
            slurm = Slurm(folder, _only_child(holder.pid))
            _start(slurm)
            yield slurm
        finally:
            holder.kill()


def _start(slurm: Slurm) -> None:
    munge = slurm.folder / "munge"
    files = [f"--{name}={munge / name}" for name in ("socket", "key-file", "pid-file", "log-file")]
    files[1] = f"--key-file={munge / 'key'}"
    slurm.run("munged", "--force", *files, f"--seed-file={munge / 'seed'}", "--num-threads=1")
    slurm.run("slurmctld")
    for node in NODES:
        slurm.start_node(node)
    end_s = time.monotonic() + _START_LIMIT_S
    states = slurm.command(["sinfo", "--noheader", "--format=%T"])
    while True:
        said = subprocess.run(states, capture_output=True, text=True, check=False)
        if said.stdout.split() == ["idle"]:
            return
        assert time.monotonic() < end_s, said.stdout + said.stderr
        time.sleep(1)


def _only_child(pid: int) -> int:
    """Return the process that unshare forks, once it has begun."""
    end_s = time.monotonic() + _START_LIMIT_S
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while True:
        found = children.read_text(encoding="utf-8").split()
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == "sleep":
            return int(found[0])
        assert time.monotonic() < end_s, "unshare has not begun"
        time.sleep(0.05)
