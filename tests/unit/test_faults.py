# SPDX-License-Identifier: GPL-2.0-only
"""The list of faults to plant (`make faults` plants them): none of it has rotted."""

from pathlib import Path

import pytest

from tests.faults.faults import Fault, FaultError, narrow_configs, read_faults

FAULTS = read_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_planted(fault: Fault) -> None:
    content = fault.file.read_text()
    assert fault.planted(content) != content
    assert [test for test in fault.tests if "/" in test and not Path(test).exists()] == []
    assert [config for config in fault.narrow if not Path(config).exists()] == []


def test_there_are_enough_faults_and_each_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 30


def test_a_fault_keeps_the_shape_of_the_code_around_it() -> None:
    fault = Fault("f", Path("f"), "a();\nb();", "b();\n\ta();", ("t",))
    assert fault.planted("{\n\tx();\n\ta();\n\n\tb();\n}\n") == "{\n\tx();\n\tb();\n\t\ta();\n}\n"


@pytest.mark.parametrize("content", ["", "a();\na();\n"])
def test_a_fault_whose_text_is_gone_or_there_twice_is_refused(content: str) -> None:
    fault = Fault("f", Path("f"), "a();", "b();", ("t",))
    with pytest.raises(FaultError, match=f"found it {content.count('a')} times"):
        fault.planted(content)


def test_configs_are_narrowed_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("seeds: 2\nram: [1GiB]\n")
    narrow_configs({"c.yaml": {"seeds": 1}}, tmp_path)
    assert (tmp_path / "c.yaml").read_text() == "ram:\n- 1GiB\nseeds: 1\n"
