# SPDX-License-Identifier: GPL-2.0-only
"""The review's config leaves nothing out."""

from pathlib import Path

import yaml

from carveout.study.matrix import read_matrix

WORKFLOW = Path("workflow")


def test_every_variant_meets_every_kernel_in_the_review() -> None:
    config = yaml.safe_load(Path("config/review.yaml").read_text(encoding="utf-8"))
    matrix = read_matrix(config, "review", WORKFLOW)
    variants = {
        (path.parent.name, variant)
        for path in WORKFLOW.glob("strategies/*/strategy.yaml")
        for variant in yaml.safe_load(path.read_text(encoding="utf-8"))["variants"]
    }
    cells = [cell for cell in matrix.cells if cell.lends]
    for kernel in matrix.kernels:
        # One of them is there for what no other does.
        only = "bootmem-offline" if kernel == "lab-nonotifier" else ""
        wanted = {variant for variant in variants if only in variant[0]}
        found = {(c.variant.strategy, c.variant.name) for c in cells if c.kernel == kernel}
        assert found == wanted
    assert len(matrix.kernels) == 7
