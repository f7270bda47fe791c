# SPDX-License-Identifier: GPL-2.0-only
"""The summary as plain text, ready for a mail to a kernel list; what a run prints at its end.

In the forms that such readers know: the tables in that of mmtests, what another kernel changes in
that of the 0-day robot.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from carveout.findings.failing import most_frequent, outcome, refusal
from carveout.findings.kernels import changes_of
from carveout.findings.machines import Machine, Variant, machines_of
from carveout.findings.needs import Answer, also, answers, best, winners
from carveout.report.facts import run_facts, what_varied
from carveout.report.mail_tables import machine_tables, titled
from carveout.wording.columns import heading, paragraph, plain
from carveout.wording.grids import Column, grid
from carveout.wording.labels import Labels, unavailable_labels
from carveout.wording.marks import Part, Words, joined, words
from carveout.wording.quantities import NOTHING
from carveout.wording.rows import Row
from carveout.wording.short import short_forms

_FACTS = ("Kernel", "Host", "Page", "Lendable", "QEMU", "Trials", "Outcomes", "Seeds")
_FACTS_OF_COUNTED = ("QEMU", "Trials")
_ONLY_COUNTED = (
    "No memory was asked for: these hosts were only counted, and what was found is in "
    "tables/phases.parquet."
)
_HOW_TO_READ = (
    "Bytes are exact. Times count instructions: they rank strategies, and predict no hardware. {} "
    "In brackets: better (+) or worse (-) than the baseline, as mmtests has it, = the same to the "
    "bit, x25 or 1/25 where it is so many times as much or such a part, from ten on; in stars "
    "where a test tells it, where the seed changes neither side, or where seeds are too few for a "
    "test and change less than a tenth of it. To 30%: beyond that dose the load was not carried, "
    "or nothing was lent, so the mean is of lighter loads and not to be held against the others. "
    "Of doses: + where no higher one was tried, r where the host does not carry the next. Host "
    "needs the rest: the careful monitor's own cap, which asks for no more than what is available "
    "less a reserve; no strategy failed there. With intervals all of it is in report.html and "
    "tables/."
)
_WORDS_OF_NEEDS = (
    "By need. As good: within 5% of the best; worse: fit, and the best is told from it; fit: not "
    "told from the best"
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def summary_text(
    tables: Mapping[str, pd.DataFrame],
    labels: Labels,
    needs: Mapping[str, str],
    reproduce: Mapping[str, str],
) -> str:
    """Return the whole summary.

    Args:
        tables: all of them, by name.
        labels: the strategies' descriptions.
        needs: the titles of the needs, in their order.
        reproduce: how to do it again: commands and revisions, by what they are.
    """
    every = machines_of(tables, labels)
    machines = [machine for machine in every if machine.variants]
    parts = [_head(tables, reproduce), *_short_forms(machines)]
    for machine in machines:
        parts += [heading(machine.label), *map(paragraph, machine.caveats)]
        parts += _by_need(machine, needs)
        parts += machine_tables(machine)
        parts += [text for text in (_failed(machine), _not_available(machine.unavailable)) if text]
    parts += _changed(tables["changes"], labels)
    missing = unavailable_labels(tables["summary"], labels)
    shown = {machine.label for machine in machines}
    for label, text in missing.items():
        if label not in shown:
            parts += [heading(label), _not_available(text)]
    return "\n\n".join(parts) + "\n"


def _head(tables: Mapping[str, pd.DataFrame], reproduce: Mapping[str, str]) -> str:
    facts, trials = run_facts(tables), tables["trials"]
    names = _FACTS_OF_COUNTED if trials.empty else _FACTS
    known: dict[str, Part] = {name: facts[name] for name in names} | dict(reproduce)
    lines = [paragraph(words("{}: {}", name, value)) for name, value in known.items()]
    title = "carveout: which way of setting memory aside for VMs costs least?"
    read = _ONLY_COUNTED if trials.empty else words(_HOW_TO_READ, what_varied(trials))
    return "\n".join([title, "", *lines, "", paragraph(read)])


def _short_forms(machines: Sequence[Machine]) -> Iterator[str]:
    """Yield what the short forms stand for that are in the tables."""
    titles = {str(variant.title) for machine in machines for variant in machine.variants}
    if forms := short_forms(sorted(titles)):
        told = "; ".join(f"{short}: {long}" for short, long in forms.items())
        yield paragraph(f"In the tables {told}.")


def _by_need(machine: Machine, needs: Mapping[str, str]) -> Iterator[str]:
    """Yield who is fit for what: a word for each variant, and who does best."""
    found = answers(machine, needs)
    asked = [answer for answer in found if answer.rows]
    if asked:
        letters = _letters(asked)
        columns = [Column("", str(answer.title), _word_of(answer, letters)) for answer in asked]
        table = grid("needs", "strategy", machine.variants, columns, title=lambda own: own.title)
        reasons = [f"no {letter}: {reason}" for reason, letter in letters.items()]
        yield from titled("; ".join([_WORDS_OF_NEEDS, *reasons]), table)
        yield "\n".join(paragraph(_best(answer)) for answer in asked)
    if len(asked) < len(found):
        others = joined([answer.title for answer in found if not answer.rows])
        yield paragraph(words("Not asked of such pieces: {}.", others))


def _letters(found: Sequence[Answer]) -> dict[str, str]:
    """Return a letter for each reason why a variant is not fit for a need."""
    reasons = dict.fromkeys(
        reason for answer in found for _, row in answer.rows for reason in _reasons(row)
    )
    return dict(zip(reasons, _LETTERS, strict=False))


def _reasons(row: Row) -> list[str]:
    return str(row["broken"]).split("; ") if row.knows("broken") else []


def _word_of(answer: Answer, letters: Mapping[str, str]) -> Callable[[Variant], Part]:
    by_title = {str(variant.title): row for variant, row in answer.rows}
    firsts = {str(variant.title) for variant, _ in winners(answer.rows)}

    def told(variant: Variant) -> Part:
        title = str(variant.title)
        if title in firsts:
            return "best"
        return _word(by_title[title], letters) if title in by_title else NOTHING

    return told


def _word(row: Row, letters: Mapping[str, str]) -> str:
    """Return what becomes of a variant for a need, in a word, unless it is the best."""
    if not row.knows("qualifies"):
        return "not told"
    if not row["qualifies"]:
        # More reasons than there are letters would be no table for people.
        return " ".join(["no", *(letters.get(reason, "?") for reason in _reasons(row))])
    if row.knows("tells_apart"):
        return "worse" if row["tells_apart"] else "as good"
    return "fit"


def _best(answer: Answer) -> Words:
    """Return who does best for a need, and who is as good."""
    alike = [said for said in also(answer.rows) if str(said).startswith("As good")]
    return words("{}. {}", answer.title, joined([best(answer.rows), *alike], " "))


def _failed(machine: Machine) -> str:
    """Return of each strategy the kind of failure that most trials had."""
    lines = ["What most often ended lends short, of each strategy, in how many trials"]
    most = most_frequent(machine.variants)
    for variant, row in most:
        who = refusal(row)
        said = words(
            "{}  {}: {}{}{}{}; under {}",
            row.count("count"),
            variant.title,
            outcome(row),
            words(" at {}", row.label("stage")) if row.knows("stage") else "",
            "" if who == NOTHING else words(", by {}", who),
            words(", in the way {}", row.label("blocker_type"))
            if row.knows("blocker_type")
            else "",
            row.label("loads"),
        )
        lines.append(paragraph(said, "  "))
    return "\n".join(lines) if most else "Every lend was granted."


def _not_available(text: str) -> str:
    return paragraph(f"Not available: {text}") if text else ""


def _changed(changes: pd.DataFrame, labels: Labels) -> Iterator[str]:
    """Return what another kernel changes, in the manner of the 0-day robot's mails."""
    for found in changes_of(changes, labels):
        yield heading(f"{found.label}; what changed")
        lines = [paragraph(found.told)]
        for line in found.grid.lines:
            load, asked, what, before, change, least, most, after, up, down, of, p_value = map(
                plain, line.cells
            )
            lines += [
                "",
                paragraph(f"{plain(line.title)}, {load}, {asked}: {what}"),
                f"  {before:>12}  {change:>12}  {after:>12}",
                f"  seeds {least} to {most}; pairs up {up}, down {down}, of {of}; p {p_value}",
            ]
        yield "\n".join(lines)
