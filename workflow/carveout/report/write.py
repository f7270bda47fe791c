# SPDX-License-Identifier: GPL-2.0-only
"""The report: one self-contained HTML page, and the comparison as plain text.

Made from the tables and figures alone. `python -m carveout.report.write table`
prints the comparison.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from carveout.common.errors import entry_point
from carveout.common.files import sha256_of_json, write_atomically
from carveout.common.revision import git_revision
from carveout.compare.changes import changes_text, read_changes
from carveout.report import views
from carveout.report.text import comparison_text, frontier_text
from carveout.tables.parquet import read_metadata, read_table
from carveout.tables.schema import COMPARABLE
from carveout.wording.labels import (
    UNAVAILABLE,
    Labels,
    comparable_parts,
    unavailable_labels,
    version_label,
)
from carveout.wording.quantities import bytes_label, ns_label

_TRIAL_COLUMNS = (
    *(*COMPARABLE, "kernel_release", "page_bytes", "lendable_bytes", "cpus"),
    *(
        "load",
        "dose_target",
        "dose_achieved",
        "physical_bytes",
        "seed",
        "replication",
        "cycle",
        "request_bytes",
        "outcome",
    ),
)


def write_report(
    path: Path,
    *,
    tables: Path,
    labels: Labels,
    figures: Sequence[Path],
    captions: Sequence[Path],
    template: Path,
    facts: Mapping[str, str],
) -> None:
    """Write the report.

    Args:
        path: the HTML file.
        tables: the folder of the tables.
        labels: the strategies' descriptions.
        figures: SVG files in the order in which they are shown.
        captions: how to read each figure: its title in the first line, text below.
        template: the page's Jinja template.
        facts: what else is known of the run: the command to repeat it, the git revision.
    """
    comparison = read_table("variants", tables / "variants.parquet")
    summary = read_table("summary", tables / "summary.parquet")
    failures = read_table("failures", tables / "failures.parquet")
    frontiers = dict(comparable_parts(_curves(tables)))
    trials = read_table("trials", tables / "trials.parquet", _TRIAL_COLUMNS)
    missing = unavailable_labels(summary, labels)
    successes, failed = dict(comparable_parts(summary)), dict(comparable_parts(failures))
    page = _template(template).render(
        machines=[
            {
                "label": machine,
                "unavailable": missing.get(machine),
                "frontier": _frontier_html(frontiers.get(machine), labels),
                "comparison": comparison_html(rows, labels),
                "vms": _vms_html(rows, labels),
                "success": success_html(successes[machine], labels),
                "failures": _failures_html(failed.get(machine), labels),
            }
            for machine, rows in comparable_parts(comparison)
        ],
        vm_part=views.VM_PART,
        missing={label: text for label, text in missing.items() if label not in successes},
        changes=[
            {"label": found.label, "view": _changes_html(found.view), "rest": found.rest}
            for found in read_changes(_changes(tables), labels)
        ],
        run=_run_facts(trials, tables) | dict(facts),
        provenance=_provenance(tables),
        loads=_html(views.loads_view(trials), index=False),
        figures=[_figure(svg, caption) for svg, caption in zip(figures, captions, strict=True)],
        strategies=[_strategy(labels, name, comparison) for name in labels.strategies(comparison)],
    )
    write_atomically(path, page)


def comparison_html(comparison: pd.DataFrame, labels: Labels) -> list[Markup]:
    """Return one machine's comparison as HTML tables, with a bar behind each success rate."""
    view = views.comparison_view(comparison, labels)
    rates = views.success_rates(comparison, labels).map(_bar)
    return [_with_bars(part, rates) for part in views.comparison_parts(view)]


def success_html(summary: pd.DataFrame, labels: Labels) -> Markup:
    """Return one machine's successes as an HTML table, each with its interval below."""
    view = views.success_view(summary, labels)
    return _html(view.map(lambda cell: cell.replace(" (", "\n(")))


def _vms_html(comparison: pd.DataFrame, labels: Labels) -> Markup | None:
    view = views.vm_view(comparison, labels)
    return None if view is None else _styled(view, view.style, "comparison")


def _curves(tables: Path) -> pd.DataFrame:
    """Return the curves that have more doses than one: what a single dose says is no frontier."""
    points = read_table("curves", tables / "curves.parquet")
    return points[points["doses"] > 1]


def _changes(tables: Path) -> pd.DataFrame:
    return read_table("changes", tables / "changes.parquet")


def _changes_html(view: pd.DataFrame) -> Markup | None:
    return None if view.empty else _html(view, index=False, css_class="changes")


def _frontier_html(points: pd.DataFrame | None, labels: Labels) -> Markup | None:
    if points is None:
        return None
    view = views.frontier_view(points, labels)
    return _styled(view, view.style, "comparison")


def _with_bars(view: pd.DataFrame, bars: pd.DataFrame) -> Markup:
    styles = bars.reindex(columns=view.columns, fill_value="")
    return _styled(view, view.style.apply(lambda _: styles, axis=None), "comparison")


def inline_svg(path: Path) -> Markup:
    """Return an SVG file's content for use within HTML, with ids that no other figure has."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    for name in set(re.findall(r'\bid="([^"]+)"', text)):
        own = f"{path.stem}-{name}"
        text = text.replace(f'id="{name}"', f'id="{own}"')
        text = text.replace(f'"#{name}"', f'"#{own}"').replace(f"url(#{name})", f"url(#{own})")
    # The page sets the width; the height follows from the view box.
    tag, rest = text.split(">", 1)
    return Markup(re.sub(r' (?:width|height)="[^"]*"', "", tag) + ">" + rest)


def _template(path: Path) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)


def _run_facts(trials: pd.DataFrame, tables: Path) -> dict[str, str]:
    """Return what was run, each fact as the tables tell it."""
    runs = read_table("runs", tables / "runs.parquet", ["process", "wall_ns", "qemu_version"])
    boots, made = (runs[runs["process"] == process] for process in ("boot", "trial"))

    def each(column: str) -> str:
        return ", ".join(str(value) for value in trials[column].dropna().drop_duplicates())

    def each_size(column: str) -> str:
        return ", ".join(bytes_label(size) for size in sorted(trials[column].dropna().unique()))

    seeds = sorted(trials["seed"].unique())
    return {
        "Kernel": _kernels(trials),
        "Host": f"{each_size('ram_bytes')} RAM, {each('cpus')} CPUs",
        "Page": each_size("page_bytes"),
        "Lendable": each_size("lendable_bytes"),
        "Requests": each_size("request_bytes"),
        "QEMU": ", ".join(runs["qemu_version"].dropna().unique()),
        "Trials": f"{len(made)} trials, {len(trials)} lends",
        "Hosts": f"{len(boots)} booted and saved, of which the trials are forks"
        if len(boots)
        else "booted for every trial",
        "Outcomes": _outcomes(trials),
        "Seeds": f"{len(seeds)} ({seeds[0]} to {seeds[-1]})" if seeds else "none",
        "Seeds end early": each("replication") or "never",
        "QEMU's wall time": f"{ns_label(runs['wall_ns'].sum())} in all, "
        f"{ns_label(made['wall_ns'].median())} a trial (median)",
    }


def _kernels(trials: pd.DataFrame) -> str:
    """Return the kernels that ran, with the pinned version where another version ran."""
    known = trials.dropna(subset=["kernel_release"])
    names = known[["kernel_release", "kernel_version", "kernel_pinned"]].drop_duplicates()
    return ", ".join(
        f"{release} ({version_label(version, pinned)})"
        for release, version, pinned in names.itertuples(index=False, name=None)
    )


def _provenance(tables: Path) -> dict[str, str]:
    """Return what the tables' files say of where they come from."""
    return read_metadata(tables / "trials.parquet") | read_metadata(tables / "runs.parquet")


def _outcomes(trials: pd.DataFrame) -> str:
    counts = trials["outcome"].value_counts()
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def _strategy(labels: Labels, name: str, comparison: pd.DataFrame) -> dict[str, object]:
    """Return what is said of a strategy, with its rows of the comparison as columns."""
    known = labels.descriptions.get(name)
    own = comparison[comparison["strategy"] == name]
    return {
        "title": labels.strategy(name),
        "description": known.description if known else "This checkout has no folder of this name.",
        "expects": known.expects if known else (),
        "measured": [
            _html(views.comparison_view(rows, labels).T) for _, rows in comparable_parts(own)
        ],
    }


def _figure(svg: Path, caption: Path) -> dict[str, str]:
    title, *lines = caption.read_text(encoding="utf-8").splitlines()
    return {
        "title": title.strip("* "),
        "caption": " ".join(line.strip() for line in lines),
        "svg": inline_svg(svg),
    }


def _failures_html(failures: pd.DataFrame | None, labels: Labels) -> Markup:
    if failures is None:
        return Markup("<p>Every lend was granted.</p>")
    return _html(views.failures_view(failures, labels), index=False, css_class="failures")


def _html(view: pd.DataFrame, *, index: bool = True, css_class: str = "plain") -> Markup:
    styler = view.style if index else view.style.hide(axis="index")
    return _styled(view, styler, css_class)


def _styled(view: pd.DataFrame, styler: "pd.io.formats.style.Styler", css_class: str) -> Markup:
    return Markup(
        styler.format(escape="html")
        .set_uuid(f"{css_class}_{_digest(view)}")
        .set_table_attributes(f'class="{css_class}"')
        .to_html(cell_ids=False, bold_headers=False)
    )


def _digest(view: pd.DataFrame) -> str:
    """Return what tells tables apart on one page: a cell's style is looked up by its table."""
    return sha256_of_json(view.to_csv())[:8]


def _bar(rate: float) -> str:
    if pd.isna(rate):
        return ""
    return f"background: linear-gradient(90deg, var(--bar) {rate * 100:.0f}%, transparent 0)"


@entry_point
def main() -> None:
    """Write the report, or print the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m carveout.report.write", description=main.__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="print the comparison")
    write = commands.add_parser("write", help="write the report")
    for command in (table, write):
        command.add_argument("--tables", type=Path, default=Path("results/tables"))
        command.add_argument(
            "--descriptions",
            type=Path,
            nargs="*",
            default=sorted(Path("workflow/strategies").glob("*/strategy.yaml")),
            help="the strategies' strategy.yaml files, in the order of the rows",
        )
    for name in ("figures", "captions"):
        write.add_argument(f"--{name}", type=Path, nargs="*", required=True)
    for name in ("template", "page", "text"):
        write.add_argument(f"--{name}", type=Path, required=True)
    write.add_argument("--configs", nargs="+", required=True)
    wanted = parser.parse_args()
    labels = Labels.read(wanted.descriptions)
    text = "\n".join(
        part
        for part in (
            frontier_text(_curves(wanted.tables), labels),
            comparison_text(
                read_table("variants", wanted.tables / "variants.parquet"),
                labels,
                unavailable_labels(
                    read_table("summary", wanted.tables / "summary.parquet", UNAVAILABLE), labels
                ),
            ),
            changes_text(_changes(wanted.tables), labels),
        )
        if part
    )
    if wanted.command == "table":
        print(text, end="")
        return
    write_report(
        wanted.page,
        tables=wanted.tables,
        labels=labels,
        figures=wanted.figures,
        captions=wanted.captions,
        template=wanted.template,
        facts={
            "To repeat it": f"snakemake --configfile {' '.join(wanted.configs)}",
            "Drawn by": f"carveout {git_revision()}",
        },
    )
    write_atomically(wanted.text, text)


if __name__ == "__main__":
    sys.exit(main())
