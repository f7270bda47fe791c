# SPDX-License-Identifier: GPL-2.0-only
"""A small study as a user runs it, with temporary files and a cache of its own."""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import yaml

from carveout.records.lines import read_line
from tests.conftest import wait_until

CONFIG = "tests/study.yaml"
_RUN_LIMIT_S = 1200


@dataclass(frozen=True)
class Study:
    """A checkout in which a study is run, and what happens to be on its machine.

    Attributes:
        config: the study's file, from the checkout.
        variables: of the environment, added to this one's.
    """

    checkout: Path
    temporary: Path
    config: str = CONFIG
    variables: dict[str, str] = field(default_factory=dict)

    def changed(self, name: str, **keys: object) -> "Study":
        """The study with some keys of its config changed, in a file of that name."""
        config = yaml.safe_load((self.checkout / CONFIG).read_text()) | keys
        (self.checkout / f"{name}.yaml").write_text(yaml.safe_dump(config))
        return replace(self, config=f"{name}.yaml")

    def start(self, results: str, *args: str) -> subprocess.Popen[str]:
        """Starts a run to the tables of trials, with the default profile."""
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        keys = ("--configfile", self.config, "--config", f"results={results}")
        return subprocess.Popen(
            [snakemake, "collect_trials", *args, *keys],
            cwd=self.checkout,
            env={**os.environ, "TMPDIR": str(self.temporary), **self.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, results: str, *args: str, fails: bool = False) -> str:
        """Runs the study and returns what it said; an unexpected exit status fails the test."""
        return finish(self.start(results, *args), fails=fails)

    def digests(self, results: str) -> dict[str, str]:
        """The sha256 of the tables that a trial decides alone, and of each cell's trials."""
        folder = self.checkout / results
        tables = [folder / f"tables/{name}.parquet" for name in ("trials", "phases")]
        cells = sorted(folder.glob("trials/**/*.jsonl"))
        assert cells
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (*tables, *cells)
        }

    def times_made(self, results: str) -> Counter[str]:
        """How often each trial is in the runner's accounts: `runs` has a line for each."""
        lines = [
            read_line(line)
            for path in (self.checkout / results / "runs").glob("**/*.jsonl")
            for line in path.read_bytes().splitlines()
        ]
        return Counter(line["trial_id"] for line in lines if line["process"] == "trial")

    def made_now(self, results: str) -> int:
        """How many trials the last run has made, and not taken over."""
        progress = self.checkout / results / "progress"
        return progress.read_text().count("\ntrial ") if progress.exists() else 0

    def processes(self, kind: str) -> list[psutil.Process]:
        """Those of this study that live: `snakemake`, `runner`, another `job`, or `qemu`."""
        return [process for process in psutil.process_iter() if self._kind_of(process) == kind]

    def forks(self) -> dict[psutil.Process, int]:
        """Its QEMUs that have a copy of a saved state, each with its job."""
        found = {}
        for qemu in self.processes("qemu"):
            with contextlib.suppress(psutil.NoSuchProcess):
                words = qemu.cmdline()
                if any(Path(word).name == "empty" for word in words):  # its kernel: it needs none
                    found[qemu] = qemu.ppid()
        return found

    def _kind_of(self, process: psutil.Process) -> str | None:
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            if words and "qemu-system" in words[0] + "".join(words[1:2]) and "-kernel" in words:
                return "qemu" if str(self.temporary) in " ".join(words) else None
            return _kind_of_program(words) if process.cwd() == str(self.checkout) else None
        return None

    def wait_for_no(self, *kinds: str) -> None:
        """Waits until no process of some kinds lives; one that stays fails the test."""
        wait_until(lambda: not any(self.processes(kind) for kind in kinds), limit_s=20)

    def assert_nothing_is_left(self, results: str) -> None:
        """Fails on a process, a saved state or a half-written file that a run has left."""
        self.wait_for_no("snakemake", "runner", "job", "qemu")
        assert [path.name for path in self.temporary.glob("carveout-*")] == []
        folder = self.checkout / results
        assert list(folder.glob("journals/**/*.jsonl")) == [], "all are packed"
        hidden = [path for path in folder.glob("**/.*") if path.name != ".running"]
        assert hidden == [], "what is written aside is renamed or removed"


def _kind_of_program(words: Sequence[str]) -> str | None:
    if "carveout.boots.run" in words:
        return "runner"
    if any(word.startswith("carveout.") for word in words):
        return "job"
    return "snakemake" if any(word.endswith("/snakemake") for word in words[:2]) else None


def finish(run: subprocess.Popen[str], *, fails: bool = False) -> str:
    """Waits for a run; one that ends otherwise than expected fails the test."""
    said, _ = run.communicate(timeout=_RUN_LIMIT_S)
    assert (run.returncode != 0) == fails, said
    assert "Traceback" not in said, said
    return said


def told(said: str) -> list[str]:
    """The lines in which carveout says what is wrong, each once."""
    lines = dict.fromkeys(line for line in said.splitlines() if line.startswith("carveout: "))
    shown = ("carveout: to make: ", "carveout: merged ")
    return [line for line in lines if " trials, " not in line and not line.startswith(shown)]


def flip_a_bit(path: Path, place: int | None = None) -> None:
    """Flips one bit of a file, in its middle if nothing else is said; its times stay."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(before.st_size // 2 if place is None else place)
        (byte,) = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path) -> None:
    """Leaves the first half of a file."""
    os.truncate(path, path.stat().st_size // 2)


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A disk of so much room, in memory; wants root."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*args: str) -> None:
    """Mounts, or changes what is mounted."""
    subprocess.run(["mount", *args], check=True)
