# SPDX-License-Identifier: GPL-2.0-only
"""In pieces of which size is asked, and what becomes of a variant that cannot give them."""

from typing import Any

import pandas as pd
import pytest
from benchmarks.synthetic.records import KERNEL_FACTS, cell, trial, whole_cycle
from benchmarks.synthetic.trials import made_trials
from benchmarks.synthetic.variants import VARIANTS

from carveout.collection.rows import TrialRows
from carveout.common.errors import CarveoutError
from carveout.common.sizes import MIB
from carveout.records.outcomes import request_outcomes
from carveout.statistics.summarize import describe_variants, list_failures, summarize
from carveout.study.geometry import GRANULES, geometry_of, granule_label
from carveout.wording.labels import Labels, comparable_parts, unavailable_labels
from tests.unit.made_cells import made_cell


def unavailable() -> dict[str, Any]:
    """A trial of a cell whose variant cannot give pages of 1 GiB, as the runner writes it."""
    made = trial([], cell=cell(granule="1G"))
    ending = {"cause": None, "message": "it is made up"}
    return {**made, "records": [], "ending": ending}


def test_each_request_of_a_granule_that_cannot_be_had_is_not_available() -> None:
    assert [found.outcome for found in request_outcomes(unavailable())] == ["not_available"] * 2


def test_its_rows_say_why_and_know_nothing_else() -> None:
    rows = TrialRows()
    rows.add({**KERNEL_FACTS, **unavailable()})
    for row in rows.tables()["trials"].to_pylist():
        assert (row["outcome"], row["granule"]) == ("not_available", "1G")
        assert row["message"] == "it is made up"
        assert row["granted_bytes"] == row["lent_bytes"] == 0
        assert row["exhausted"] is row["lend_ns"] is row["stage"] is row["kernel_release"] is None


def test_what_is_lent_and_not_in_whole_granules_is_not_granted() -> None:
    rows = TrialRows()
    records = whole_cycle(1, 256 * MIB, {"exhausted": True})
    next(r for r in records if r["record"] == "lend")["granted_bytes"] = 254 * MIB
    rows.add({**KERNEL_FACTS, **trial(records)})
    row = rows.tables()["trials"].to_pylist()[0]
    assert (row["outcome"], row["exhausted"]) == ("partial", True)
    assert (row["lent_bytes"], row["granted_bytes"]) == (256 * MIB, 254 * MIB)
    # What was lent comes back, and is verified, all of it.
    assert row["verify"] == "ok"
    assert row["returned_bytes"] == row["regained_bytes"] == 256 * MIB


def test_a_cell_is_available_where_its_variant_has_the_granule() -> None:
    assert made_cell(granule="2M").is_available
    assert not made_cell(granule="single").is_available


def without(trials: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """The trials, of which those of one strategy are not available."""
    missing = trials["strategy"] == strategy
    return trials.assign(outcome=trials["outcome"].mask(missing, "not_available"))


def test_what_is_not_available_is_no_failure_and_in_no_figure() -> None:
    trials = without(made_trials(), "cma")
    assert "cma" not in set(list_failures(trials)["strategy"])
    for table in (trials, summarize(trials), describe_variants(trials)):
        assert "cma" in set(table["strategy"])
        ((_, shown),) = comparable_parts(table)
        assert "cma" not in set(shown["strategy"])
    assert list(unavailable_labels(summarize(trials), Labels()).values()) == ["cma area"]


def unrun(trials: pd.DataFrame, **where: str) -> pd.DataFrame:
    """The trials, of which those with some values are not available, with a reason."""
    missing = pd.Series(data=True, index=trials.index)
    for column, value in where.items():
        missing &= trials[column] == value
    return trials.assign(
        outcome=trials["outcome"].mask(missing, "not_available"),
        message=trials["message"].mask(missing, "the running kernel has no telepathy"),
    )


def test_a_load_that_a_kernel_cannot_run_is_no_failure_and_is_named() -> None:
    trials = made_trials()
    some = unrun(trials, load="unmovable_pages")
    whole, without_load = (
        describe_variants(made[made["load"] != "unmovable_pages"] if made is trials else made)
        for made in (trials, some)
    )
    names = ["strategy", "variant", "request_bytes", "trials", "successes", "success_least_load"]
    pd.testing.assert_frame_equal(whole[names], without_load[names])
    missing = unavailable_labels(summarize(some), Labels())
    assert list(missing.values()) == [
        "every variant under unmovable pages (the running kernel has no telepathy)"
    ]
    other = trials["load"].eq("unmovable_pages") & trials["strategy"].eq("cma")
    two = unavailable_labels(
        summarize(some.assign(message=some["message"].mask(other, "another reason"))), Labels()
    )
    assert "cma area under unmovable pages (another reason)" in str(two)
    assert str(two).count("another reason") == 1
    one = unavailable_labels(summarize(unrun(some, strategy="cma")), Labels())
    assert "cma area (the running kernel has no telepathy), every variant under" in str(one)


def test_a_machine_on_which_nothing_can_be_had_is_named() -> None:
    trials = made_trials()
    away = unrun(trials.assign(kernel="lab-64k"), load="idle")
    away = away.assign(outcome="not_available", message="no telepathy")
    both = pd.concat([trials, away])
    missing = unavailable_labels(summarize(both), Labels())
    ((machine, said),) = [pair for pair in missing.items() if pair[0].startswith("lab-64k")]
    assert machine == "lab-64k (6.12.107-1), 4 GiB RAM, in any pages"
    assert said.count("no telepathy") == 1
    assert all(variant.variant in said for variant in VARIANTS)


def test_granules_are_compared_apart() -> None:
    trials = made_trials()
    both = pd.concat([trials, trials.assign(granule="2M", trial_id=trials["trial_id"] + "2M")])
    labels = [label for label, _ in comparable_parts(describe_variants(both))]
    assert [label.rpartition(", ")[2] for label in labels] == ["in pieces of 2M", "in any pages"]


@pytest.mark.parametrize(
    ("page_bytes", "pageblock_bytes", "section_bytes"),
    [(4096, 2 * MIB, 128 * MIB), (16384, 32 * MIB, 128 * MIB), (65536, 512 * MIB, 512 * MIB)],
)
def test_the_page_size_decides(page_bytes: int, pageblock_bytes: int, section_bytes: int) -> None:
    found = geometry_of("some", {"page_bytes": page_bytes}, "kernels.yaml")
    assert (found.pageblock_bytes, found.section_bytes) == (pageblock_bytes, section_bytes)


def test_a_kernel_may_have_other_pageblocks() -> None:
    entry = {"page_bytes": 65536, "pageblock_bytes": 2 * MIB}
    assert geometry_of("some", entry, "kernels.yaml").pageblock_bytes == 2 * MIB


@pytest.mark.parametrize(
    ("page_bytes", "granules"),
    [(4096, ("page", "2M")), (16384, ("page", "2M", "32M")), (65536, ("page", "2M", "32M"))],
)
def test_a_huge_page_gives_all_blocks_up_to_its_size(
    page_bytes: int, granules: tuple[str, ...]
) -> None:
    geometry = geometry_of("some", {"page_bytes": page_bytes}, "kernels.yaml")
    assert geometry.granules_of(["huge_page", "page"]) == granules
    assert geometry.granules_of(["single", "2M"]) == ("2M", "single")


@pytest.mark.parametrize("pageblock_bytes", [3 * MIB, 512 * MIB, 300_000])
def test_pageblocks_that_no_kernel_has_are_refused(pageblock_bytes: int) -> None:
    entry = {"page_bytes": 4096, "pageblock_bytes": pageblock_bytes}
    with pytest.raises(CarveoutError, match=r"^own\.yaml: kernel mine: wanted as pageblock_bytes"):
        geometry_of("mine", entry, "own.yaml")


def test_every_granule_has_words() -> None:
    assert len({granule_label(granule) for granule in GRANULES}) == len(GRANULES)
