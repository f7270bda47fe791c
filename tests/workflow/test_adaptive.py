# SPDX-License-Identifier: GPL-2.0-only
"""Adaptive replication on real hosts: cells stop early, and say by which rule."""

import json

import yaml

from tests.conftest import Checkout, Run

RULE = {"interval_width": 0.7, "least_seeds": 2}
JOB = {
    "results": "adaptive",
    "kernels": ["debian-6.12"],
    "ram": ["1GiB"],
    "lendable": "256MiB",
    "requests": {"whole": ["256MiB"]},
    "granules": ["single"],
    "strategies": {"mem": ["carve_out"], "alloc_contig_range": ["whole_memory"]},
    "loads": {"unmovable_pages": [10]},
    "seeds": 6,
    "replication": RULE,
}


def test_a_cell_stops_when_its_rate_is_known_as_well_as_asked(checkout: Checkout) -> None:
    # 2 of 2 and 0 of 2 have a Wilson interval of 0.66, which is narrow enough here.
    (checkout.path / "adaptive.yaml").write_text(yaml.safe_dump(JOB))
    done = checkout.snakemake("--configfile", "adaptive.yaml")
    run = Run(checkout, checkout.path / "adaptive")
    assert sorted(run.table("trials")["seed"]) == [1, 1, 2, 2]
    summary = run.table("summary").set_index("strategy")
    assert dict(summary["successes"]) == {"mem": 2, "alloc_contig_range": 0}
    assert dict(summary["trials"]) == {"mem": 2, "alloc_contig_range": 2}
    assert set(summary["trials_asked"]) == {6}
    assert [json.loads(rule) for rule in summary["replication"]] == [RULE] * 2
    assert "4/4 trials, 2/2 cells" in done.stderr
    assert "interval_width" in (run.results / "report.html").read_text()
