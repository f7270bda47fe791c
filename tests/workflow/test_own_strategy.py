# SPDX-License-Identifier: GPL-2.0-only
"""A strategy made by the document's words alone appears everywhere, and no other file changes."""

import re
from pathlib import Path

from tests.conftest import Checkout, Run

CONFIG = """
results: own
kernels: [debian-6.12]
ram: [1GiB]
lendable: 512MiB
requests:
  once: [256MiB]
loads:
  idle: [0]
seeds: 1
strategy_folders: [{folder}]
"""


def files_of(document: str) -> dict[str, str]:
    """The files that a document shows: a path in backquotes, then the content in a fence."""
    shown = re.findall(r"^`([\w/.]+)`:.*?^```\w+\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    return dict(shown)


def test_a_strategy_by_the_documents_words(checkout: Checkout, tmp_path: Path) -> None:
    document = (checkout.path / "docs/adding-a-strategy.md").read_text()
    files = files_of(document)
    assert sorted(Path(name).name for name in files) == ["guest.sh", "rules.smk", "strategy.yaml"]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    chosen = re.findall(r"^```yaml\n(strategies:\n.*?)^```$", document, re.MULTILINE | re.DOTALL)
    config = tmp_path / "own.yaml"
    config.write_text(CONFIG.format(folder=tmp_path) + chosen[0])

    checkout.snakemake("--configfile", str(config))

    run = Run(checkout, checkout.path / "own")
    trials = run.table("trials")
    assert set(trials["strategy"]) == {"early_range"}
    assert set(trials["outcome"]) == {"granted"}
    assert set(trials["verify"]) == {"ok"}
    assert set(run.table("variants")["strategy"]) == {"early_range"}
    assert "early range" in (run.results / "report.html").read_text()
    assert "early range" in (run.results / "summary.txt").read_text()
