# SPDX-License-Identifier: GPL-2.0-only
"""The report: one self-contained page that opens with what was concluded."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from carveout.findings.claims import claims_of, counts
from carveout.findings.costs import own_grid
from carveout.findings.kernels import changes_of, kernel_grids
from carveout.findings.machines import Machine, Variant, machines_of
from carveout.findings.needs import Answer, also, answers, best, not_told, unfit
from carveout.findings.sentences import conclusions
from carveout.findings.verdicts import verdict
from carveout.report.embedded import embedded
from carveout.report.facts import loads_grid, run_facts, what_varied
from carveout.report.html import grid_html, inline_svg, packed, proportions, trials_link
from carveout.report.questions import OF_THE_CONCLUSION, QUESTIONS, Question
from carveout.wording.grids import Grid
from carveout.wording.labels import Labels, unavailable_labels
from carveout.wording.marks import Name, Words

# The pages of statements that are no strategy's, with their headings.
PAGES = {
    "mail": "The mail that asked, sentence by sentence",
    "kernel": "What the kernel's documentation and source say",
    "field": "What the field has published",
}
EMBEDDED = {
    "summary": "Cells: each variant under each load and dose",
    "comparisons": "Strategies held against the reference",
    "trials": "Trials: every lend",
}


def page(
    tables: Mapping[str, pd.DataFrame],
    labels: Labels,
    *,
    needs: Mapping[str, str],
    figures: Sequence[tuple[Path, Path]],
    template: Path,
    reproduce: Mapping[str, str],
    provenance: Mapping[str, str],
) -> str:
    """Return the report.

    Args:
        tables: all of them, by name.
        labels: the strategies' descriptions.
        needs: the titles of the needs, in their order.
        figures: SVG files, each with its caption: a title in the first line, text below.
        template: the page's Jinja template.
        reproduce: how to do it again: commands and revisions, by what they are.
        provenance: versions and digests of all that decides about a trial.
    """
    machines = [found for found in machines_of(tables, labels) if found.variants]
    shown = {svg.stem: _figure(svg, caption) for svg, caption in figures}
    asked = [_question(question, machines, shown, tables, labels) for question in QUESTIONS]
    used = {*OF_THE_CONCLUSION, *(name for question in QUESTIONS for name in question.figures)}
    missing = unavailable_labels(tables["summary"], labels)
    lending = {machine.label for machine in machines}
    return _template(template).render(
        style=_bundle("dt_bundle.css").decode("utf-8"),
        library=packed(_bundle("dt_bundle.js")),
        machines=[_concluded(machine, labels, needs) for machine in machines],
        concluding_figures=[shown[name] for name in OF_THE_CONCLUSION if name in shown],
        questions=asked,
        other_figures=[figure for name, figure in shown.items() if name not in used],
        strategies=[
            _strategy(name, machines, tables, labels)
            for name in labels.strategies(tables["variants"])
        ],
        pages=[_statements(name, title, tables["claims"]) for name, title in PAGES.items()],
        missing={label: text for label, text in missing.items() if label not in lending},
        run=run_facts(tables),
        varied=what_varied(tables["trials"]),
        loads=grid_html(loads_grid(tables["trials"])),
        reproduce=reproduce,
        provenance=provenance,
        embedded=[
            {"title": title, "table": embedded(name, tables[name], labels)}
            for name, title in EMBEDDED.items()
            if len(tables[name])
        ],
    )


def _template(path: Path) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)


def _bundle(name: str) -> bytes:
    """Return a file of DataTables as the package itables carries it, with nothing to load."""
    return resources.files("itables").joinpath("html", name).read_bytes()


def _concluded(machine: Machine, labels: Labels, needs: Mapping[str, str]) -> dict[str, Any]:
    """Return what is concluded of a machine: of needs, and of strategies."""
    strategies: dict[str, list[Variant]] = {}
    for variant in machine.variants:
        strategies.setdefault(variant.strategy, []).append(variant)
    return {
        "label": Name(machine.label),
        "place": machine.place,
        "caveats": [Name(caveat) for caveat in machine.caveats],
        "unavailable": Name(machine.unavailable) if machine.unavailable else None,
        "needs": [
            {
                "title": answer.title,
                "sentences": _who_is_fit(answer),
                "unfit": unfit(answer.rows),
                "grid": grid_html(answer.grid),
            }
            for answer in answers(machine, needs)
        ],
        "strategies": [
            {
                "name": name,
                "title": Name(labels.strategy(name)),
                "verdict": verdict(machine, variants, needs),
                "conclusions": conclusions(variants),
            }
            for name, variants in strategies.items()
        ],
    }


def _who_is_fit(answer: Answer) -> list[Words]:
    """Return what is said of a need, but of those that are not fit."""
    if not answer.rows:
        return list(answer.sentences)
    said = (best(answer.rows), *also(answer.rows), *not_told(answer.rows))
    return [sentence for sentence in said if sentence]


def _question(
    question: Question,
    machines: Sequence[Machine],
    figures: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    labels: Labels,
) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for machine in machines:
        grids = [grid for grid in question.grids(machine) if grid.lines]
        if grids:
            parts.append({"label": Name(machine.label), **_grids(grids)})
    changes: list[dict[str, Any]] = []
    if question.name == "kernels":
        parts = [
            {"label": Name(label), **_grids(grids)}
            for label, grids in kernel_grids(tables["kernels"], labels)
        ]
        changes = [
            {
                "label": Name(found.label),
                "told": found.told,
                "grid": grid_html(found.grid) if found.grid.lines else None,
            }
            for found in changes_of(tables["changes"], labels)
        ]
    return {
        "name": question.name,
        "asks": question.asks,
        "figures": [figures[name] for name in question.figures if name in figures],
        "tables": question.tables,
        "parts": parts,
        "changes": changes,
        "if_none": question.if_none,
    }


def _grids(grids: Sequence[Grid]) -> dict[str, Any]:
    """Return grids as HTML: those without a title, and behind their titles the others."""
    return {
        "grids": [grid_html(grid) for grid in grids if not grid.title],
        "folded": [(grid.title, grid_html(grid)) for grid in grids if grid.title],
    }


def _strategy(
    name: str, machines: Sequence[Machine], tables: Mapping[str, pd.DataFrame], labels: Labels
) -> dict[str, Any]:
    """Return what is said of a strategy, against what was found."""
    known = labels.descriptions.get(name)
    measured: list[dict[str, Any]] = []
    for machine in machines:
        own = [variant for variant in machine.variants if variant.strategy == name]
        if own:
            grid = grid_html(own_grid(machine, own))
            measured.append({"label": Name(machine.label), "grids": [grid]})
    description = known.description if known else "This checkout has no folder of this name."
    return {
        "name": name,
        "title": Name(labels.strategy(name)),
        "description": Name(description),
        "measured": measured,
        "trials": trials_link({"strategy": name}),
        **_statements(name, "", tables["claims"]),
    }


def _statements(name: str, title: str, claims: pd.DataFrame) -> dict[str, Any]:
    return {
        "page": name,
        "heading": title,
        "claims": claims_of(claims, name),
        "counts": counts(claims, name),
    }


def _figure(svg: Path, caption: Path) -> dict[str, Any]:
    title, *lines = caption.read_text(encoding="utf-8").splitlines()
    title = title.strip("* ")
    drawing = inline_svg(svg, title)
    return {
        "name": svg.stem,
        "title": title,
        "caption": " ".join(line.strip() for line in lines),
        "packed": packed(drawing),
        "proportions": proportions(drawing),
    }
