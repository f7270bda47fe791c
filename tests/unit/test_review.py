# SPDX-License-Identifier: GPL-2.0-only
"""The review's config leaves nothing out."""

from pathlib import Path

import pytest
import yaml

from carveout.study.matrix import Matrix, read_matrix

WORKFLOW = Path("workflow")


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    """What the review asks."""
    config = yaml.safe_load(Path("config/review.yaml").read_text(encoding="utf-8"))
    return read_matrix(config, "review", WORKFLOW)


def test_every_variant_meets_every_kernel_in_the_review(matrix: Matrix) -> None:
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


def test_huge_pages_come_back_without_memory_with_and_without_hvo(matrix: Matrix) -> None:
    asked = [cell for cell in matrix.cells if cell.question == "return_without_memory"]
    assert {(cell.kernel, cell.variant.name, cell.load) for cell in asked} == {
        ("lab", variant, load)
        for variant in ("2M_run_time", "2M_run_time_hvo")
        for load in ("anonymous_memory", "page_cache")
    }
    assert {cell.variant.strategy for cell in asked} == {"hugetlbfs"}
    assert not any(cell.runs_vm for cell in asked)
