# SPDX-License-Identifier: GPL-2.0-only
"""What a config may ask of a host, and the question that it is to answer."""

from typing import Any

import pytest

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB, MIB
from carveout.study.requests import Requests, check_granule, read_requests


def read(wanted: Any) -> Requests:
    return read_requests(wanted, "job.yaml: key requests.some", GIB, 2 * MIB)


def test_a_list_of_sizes_asks_how_much_is_to_be_had() -> None:
    found = read(["64MiB", "1GiB"])
    assert found == Requests((64 * MIB, GIB), "capacity", load_works=False, churn_steps=0)
    assert not found.needs_work


def test_cycles_repeat_the_sizes_and_need_a_load_that_goes_on() -> None:
    found = read({"question": "cycles", "sizes": ["64MiB"], "times": 3, "churn_steps": 9})
    assert found.sizes_bytes == (64 * MIB,) * 3
    assert found.churn_steps == 9
    assert found.needs_work


def test_a_load_may_go_on_whatever_is_asked() -> None:
    assert read({"sizes": ["64MiB"], "load_works": True}).needs_work


def test_a_census_asks_for_nothing() -> None:
    found = read({"question": "census"})
    assert found == Requests((), "census", load_works=False, churn_steps=0)
    assert not found.needs_work


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"question": "cycles", "sizes": ["64MiB"]}, "key times with the question cycles, found"),
        ({"sizes": ["64MiB"], "times": 2}, "found it with the question capacity"),
        ({"sizes": ["64MiB"], "churn_steps": 2}, "key churn_steps with the question cycles only"),
        (["63MiB"], "wanted a multiple of a pageblock of 2MiB, found 63MiB"),
        (["2GiB"], "wanted at most the lendable 1GiB, found 2GiB"),
    ],
)
def test_what_no_host_can_be_asked_is_refused_in_one_line(wanted: Any, message: str) -> None:
    with pytest.raises(CarveoutError) as caught:
        read(wanted)
    text = str(caught.value)
    assert text.startswith("job.yaml: key requests.some: wanted ")
    assert message in text
    assert "\n" not in text


def test_every_size_is_whole_granules() -> None:
    check_granule(read(["64MiB"]), "32M", "here", 2 * MIB)
    check_granule(read(["64MiB"]), "single", "here", 2 * MIB)
    with pytest.raises(CarveoutError, match="here: wanted a multiple of the granule 1G"):
        check_granule(read(["64MiB"]), "1G", "here", 2 * MIB)
