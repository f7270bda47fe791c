# SPDX-License-Identifier: GPL-2.0-only
"""What tests of verification and reuse read: a cell's one trial, its records and its console."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carveout.records.outcomes import RequestOutcome, request_outcomes
from tests.conftest import Checkout

MACHINE = "debian-6.12/1GiB"


@dataclass(frozen=True)
class Trial:
    """The one trial of a cell."""

    content: dict[str, Any]
    console: str

    @property
    def outcomes(self) -> list[RequestOutcome]:
        """What became of each request."""
        return request_outcomes(self.content)

    def records(self, kind: str) -> dict[int, dict[str, Any]]:
        """The records of a kind that comes once a cycle, by cycle."""
        return {
            record["cycle"]: record
            for record in self.content["records"]
            if record["record"] == kind and "cycle" in record
        }


@dataclass(frozen=True)
class Cells:
    """The cells of one config, in a folder of results of their own."""

    checkout: Checkout
    config: str

    @property
    def name(self) -> str:
        """The folder of results."""
        return Path(self.config).stem + "_cells"

    def make(self, *cells: str) -> None:
        """Run cells that are named ``strategy/variant/scenario``."""
        config = ("--configfile", self.config, "--config", f"results={self.name}", "--")
        self.checkout.snakemake(
            *config, *(f"{self.name}/trials/{MACHINE}/{cell}.jsonl" for cell in cells)
        )

    def trial(self, cell: str) -> Trial:
        """The one trial of a cell that was made."""
        results = self.checkout.path / self.name
        (line,) = (results / f"trials/{MACHINE}/{cell}.jsonl").read_text().splitlines()
        console = results / f"logs/boots/{MACHINE}/{cell}.log"
        return Trial(json.loads(line), console.read_text())
