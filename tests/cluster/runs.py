# SPDX-License-Identifier: GPL-2.0-only
"""Runs whose boots are jobs of a cluster."""

import subprocess
import sys
from pathlib import Path

from carveout.common.files import sha256_of
from tests.cluster.slurm import Slurm
from tests.conftest import Checkout

RUN_LIMIT_S = 3600
# What this cluster is not like others in: no accounting, and nobody minds frequent questions.
_SITE = (
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "5"),
)


def start(slurm: Slurm, checkout: Checkout, *args: str) -> subprocess.Popen[str]:
    """Starts a run whose boots are jobs of the cluster."""
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    profile = ("--workflow-profile", "workflow/profiles/slurm")
    return subprocess.Popen(
        slurm.command([snakemake, "tables", *profile, *_SITE, *args], checkout.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(run: subprocess.Popen[str], *, fails: bool = False, limit_s: float = RUN_LIMIT_S) -> str:
    """Waits for a run; one that ends otherwise than expected fails the test."""
    said, _ = run.communicate(timeout=limit_s)
    assert (run.returncode != 0) == fails, said
    return said


def submitted(said: str) -> list[str]:
    """The lines in which a run says which jobs it gave to the cluster."""
    return [line for line in said.splitlines() if "has been submitted" in line]


def digest_of(results: Path) -> str:
    """The SHA-256 of a run's trials."""
    return sha256_of(results / "tables/trials.parquet")


def made_trials(results: Path) -> int:
    """How many trials the last run has made, and not taken over."""
    return (results / "progress").read_text().count("\ntrial ")
