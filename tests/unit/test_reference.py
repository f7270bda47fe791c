# SPDX-License-Identifier: GPL-2.0-only
"""The config's reference: what all variants are held against."""

import copy
from typing import Any

import pytest

from carveout.common.errors import CarveoutError
from carveout.study.matrix import read_matrix
from tests.unit.test_matrix import CONFIG, WORKFLOW


def references(**changes: Any) -> list[str]:
    config = copy.deepcopy(CONFIG) | changes
    return read_matrix(config, "job.yaml", WORKFLOW).references


def test_it_comes_first_and_then_the_variants_of_the_config() -> None:
    first = ["baseline/ordinary_pages", "baseline/transparent_huge_pages"]
    assert references()[:2] == first
    assert references(reference="mem/carve_out")[:2] == ["mem/carve_out", first[0]]
    assert len(set(references())) == len(references())


def test_one_that_is_not_run_is_refused_in_one_line_that_names_those_that_are() -> None:
    with pytest.raises(CarveoutError) as error:
        references(reference="mem/no_such")
    assert str(error.value).startswith(
        "job.yaml: key reference: wanted a strategy and variant of the key strategies, found "
        "mem/no_such; known are baseline/ordinary_pages, "
    )
    assert "\n" not in str(error.value)
    with pytest.raises(CarveoutError, match="key reference: 'mem' does not match"):
        references(reference="mem")
