# SPDX-License-Identifier: GPL-2.0-only
"""A reviewer's questions, in their order on the page, and what answers them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carveout.findings.costs import aside_grids, memmap_grids, return_grids, time_grids
from carveout.findings.failing import blocker_grids, failure_grids
from carveout.findings.lending import capacity_grids, success_grids, vm_grids
from carveout.findings.machines import Machine
from carveout.report.differences import difference_grids
from carveout.wording.grids import Grid


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        name: its anchor on the page, and its note's name.
        asks: the question.
        figures: by what it is answered, those that are there.
        tables: the files that hold its numbers.
        grids: the numbers of a machine; of none where they are not by machine.
        if_none: what is said where there are none.
    """

    name: str
    asks: str
    figures: Sequence[str]
    tables: Sequence[str]
    grids: Callable[[Machine], Sequence[Grid]]
    if_none: str = ""


def _none(_: Machine) -> Sequence[Grid]:
    return ()


# Figures that belong to the conclusion.
OF_THE_CONCLUSION = ("decision",)
QUESTIONS = (
    Question(
        "lend",
        "Does it lend under my load?",
        ("success",),
        ("summary",),
        success_grids,
        "Nothing was asked for.",
    ),
    Question(
        "carry",
        "How much of it can be lent while the host carries how much?",
        ("frontier", "capacity"),
        ("curves", "summary"),
        capacity_grids,
        "Nothing was asked for.",
    ),
    Question(
        "differ",
        "Which strategies differ, and by how much?",
        (),
        ("comparisons",),
        difference_grids,
        "One variant was run, or none under a load that another met: there is nothing to compare.",
    ),
    Question(
        "memmap",
        "What does it cost in memmap, and who pays?",
        ("memmap_overhead", "memmap_by_ram", "pareto"),
        ("variants",),
        memmap_grids,
        "Nothing was measured.",
    ),
    Question(
        "stranded",
        "What is stranded while idle?",
        ("idle", "accounts"),
        ("variants",),
        aside_grids,
        "Nothing was measured.",
    ),
    Question(
        "back",
        "Does it come back?",
        ("cycles", "memory_map", "pageblock_map"),
        ("variants",),
        return_grids,
        "Nothing was lent.",
    ),
    Question(
        "way",
        "What stood in the way?",
        ("blockers",),
        ("blockers",),
        blocker_grids,
        "No lend ended short.",
    ),
    Question(
        "time",
        "How long does it take?",
        ("cost",),
        ("variants", "summary"),
        time_grids,
        "Nothing was lent.",
    ),
    Question(
        "vm",
        "Does a VM run in it?",
        (),
        ("variants",),
        vm_grids,
        "No VM was asked for (key vm of the config).",
    ),
    Question(
        "kernels",
        "What differs between kernels?",
        ("kernels",),
        ("kernels", "changes"),
        _none,
        "One kernel was run (key kernels of the config): there is no other to hold it against.",
    ),
    Question("failed", "What failed?", (), ("failures",), failure_grids, "Every lend was granted."),
)
