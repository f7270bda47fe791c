# SPDX-License-Identifier: GPL-2.0-only
"""The report: one self-contained page that opens with what was concluded."""

import base64
import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from carveout.common.sizes import GIB, KIB, MIB
from carveout.report.embedded import embedded
from carveout.report.html import inline_svg
from carveout.report.page import page
from carveout.report.questions import QUESTIONS
from carveout.report.write import read_tables, read_titles
from carveout.wording.labels import Labels
from carveout.wording.marks import Name, joined, listed, words
from carveout.wording.quantities import bytes_label, ns_label, percent_label
from tests.unit.made_tables import NEEDS
from tests.unit.reading import Element, parsed

REPORT = Path("workflow/report")
DESCRIPTIONS = sorted(Path("workflow/strategies").glob("*/strategy.yaml"))
SVG = '<?xml version="1.0"?>\n<svg width="9pt" height="5pt" viewBox="0 0 9 5">'
SVG += '<metadata>made at noon</metadata><g id="a"/>'
SVG += '<use xlink:href="#a" clip-path="url(#a)"/></svg>\n'


@pytest.fixture(scope="module")
def tables(rich_tables: Path) -> Mapping[str, pd.DataFrame]:
    """All tables of a run of which nothing is missing."""
    return read_tables(rich_tables)


def write(
    tables: Mapping[str, pd.DataFrame],
    labels: Labels | None = None,
    figures: tuple[tuple[Path, Path], ...] = (),
) -> str:
    return page(
        tables,
        labels or Labels.read(DESCRIPTIONS),
        needs=NEEDS,
        figures=figures,
        template=REPORT / "report.html.jinja",
        reproduce={"To repeat it": "snakemake <&>"},
        provenance={"kernel_sha256": "4f4f"},
    )


@pytest.fixture(scope="module")
def html(tables: Mapping[str, pd.DataFrame]) -> str:
    """Its page."""
    return write(tables)


def section(html: str, name: str) -> Element:
    """A section of the page."""
    (found,) = (own for own in parsed(html).every("section") if own.attributes["id"] == name)
    return found


def test_it_needs_nothing_else(html: str) -> None:
    linked = [
        own.attributes[name]
        for own in parsed(html).every("a", "link", "script", "img", "use")
        for name in ("href", "src")
        if name in own.attributes
    ]
    files = re.compile(r"(tables/\w+\.(csv|parquet)|figures/\w+\.svg)")
    others = [link for link in linked if not (link.startswith("#") or files.fullmatch(link))]
    assert others == ["data:,"], "an icon that no browser asks for"
    assert not re.search(r"https?://(?!www\.w3\.org)", re.sub(r"(?s)<script.*?</script>", "", html))
    assert len(html) < 5_000_000


def test_it_opens_with_the_conclusion_and_has_the_rest_in_its_order(html: str) -> None:
    names = [own.attributes["id"] for own in parsed(html).every("section")]
    questions = [question.name for question in QUESTIONS]
    assert questions[:2] == ["lend", "carry"]
    assert names[: len(questions) + 1] == ["conclusion", *questions]
    assert names[-5:] == ["run", "limits", "summary", "comparisons", "trials"]
    strategies = [name for name in names if name.startswith("strategy-")]
    assert "strategy-cma" in strategies
    assert names.index("statements-mail") > names.index(strategies[-1])
    for link in parsed(html).every("a"):
        target, _, _ = link.attributes["href"].removeprefix("#").partition("?")
        assert target in names or target.startswith("tables/")


def test_the_conclusion_answers_every_need_and_names_every_variant(
    html: str, tables: Mapping[str, pd.DataFrame]
) -> None:
    labels = Labels.read(DESCRIPTIONS)
    conclusion = section(html, "conclusion")
    machines = [own for own in conclusion.every("details") if own.attributes["class"] == "machine"]
    assert len(machines) == 4
    assert ["open" in own.attributes for own in machines] == [True, False, False, False]
    for machine in machines:
        terms = [term.text() for term in machine.every("dt")]
        assert terms[: len(NEEDS)] == list(NEEDS.values())
        named = {bold.text() for bold in machine.every("b")}
        assert named == {labels.short(*pair) for pair in labels.variants(tables["variants"])}


def test_the_same_tables_give_the_same_page(html: str, tables: Mapping[str, pd.DataFrame]) -> None:
    assert write(tables) == html


def renamed(tables: Mapping[str, pd.DataFrame], old: str, new: str) -> dict[str, pd.DataFrame]:
    """The tables with another name for a strategy."""
    columns = ("strategy", "against_strategy", "page")
    return {
        name: frame.assign(
            **{column: frame[column].replace(old, new) for column in columns if column in frame}
        )
        for name, frame in tables.items()
    }


def test_config_text_is_text(tables: Mapping[str, pd.DataFrame]) -> None:
    evil = "<script>alert(1)</script>"
    made = write(renamed(tables, "cma", evil), Labels())
    assert evil not in made
    assert "&lt;script&gt;alert(1)&lt;/script&gt; area" in made
    assert f"{evil} area" in section(made, "conclusion").text()
    scripts = [own.attributes.get("type") for own in parsed(made).every("script")]
    assert scripts == ["application/json"] * 3 + ["text/plain", "module"]
    assert "snakemake &lt;&amp;&gt;" in made


def test_strategies_without_a_folder_are_shown_by_name(
    tables: Mapping[str, pd.DataFrame],
) -> None:
    made = write(tables, Labels())
    for strategy, variant in Labels().variants(tables["variants"]):
        assert f"{strategy} {variant}" in made
    assert "This checkout has no folder of this name." in made


def test_statements_stand_with_their_verdicts(html: str) -> None:
    for name in ("strategy-cma", "statements-mail", "statements-kernel", "statements-field"):
        own = section(html, name)
        verdicts = [item.attributes["class"] for item in own.every("li")]
        assert verdicts == ["confirmed", "contradicted", "not_tested"]
        said = own.text()
        assert "1 confirmed, 1 contradicted and 1 not tested here." in said
        assert "contradicted in 3/12 rows" in said
        assert "<b>" in said, "a statement is text"
        assert "no kernel 9.9" in said


def test_figures_stand_with_the_questions_that_they_answer(
    tables: Mapping[str, pd.DataFrame], tmp_path: Path
) -> None:
    caption = tmp_path / "caption.rst"
    caption.write_text("**Title**\n\nText below.\n")
    paths = [tmp_path / f"{name}.svg" for name in ("decision", "frontier", "blockers", "strange")]
    for path in paths:
        path.write_text(SVG)
    made = write(tables, figures=tuple((path, caption) for path in paths))
    names = ("conclusion", "carry", "way", "figures")
    for name, figure in zip(names, (path.stem for path in paths), strict=True):
        (own,) = section(made, name).every("figure")
        assert own.attributes["id"] == f"figure-{figure}"
        (place,) = (part for part in own.every("div") if "data-packed" in part.attributes)
        drawn = gzip.decompress(base64.b64decode(place.attributes["data-packed"])).decode()
        assert drawn.startswith("<svg")
        assert f'id="{figure}-a"' in drawn
        assert place.attributes["style"] == "aspect-ratio: 9 / 5"
        assert "Title. Text below." in " ".join(own.text().split())


def test_inlined_figures_have_ids_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "one.svg").write_text(SVG)
    inlined = str(inline_svg(tmp_path / "one.svg", "What & why"))
    assert inlined.startswith('<svg viewBox="0 0 9 5" role="img" aria-label="What &amp; why">')
    assert 'id="one-a"' in inlined
    assert 'href="#one-a" clip-path="url(#one-a)"' in inlined
    assert "noon" not in inlined


def test_a_figure_that_is_cut_for_paper_is_there_whole_too(tmp_path: Path) -> None:
    tall = SVG.replace("<svg ", '<svg data-cuts="2.0 3.5" ').replace("</svg>", '<g id="figure_1"/>')
    (tmp_path / "one.svg").write_text(tall + "</svg>")
    inlined = str(inline_svg(tmp_path / "one.svg", "What"))
    assert re.findall('<svg viewBox="([^"]+)"><use href="#one-figure_1"/>', inlined) == [
        "0 0 9 2", "0 2 9 1.5", "0 3.5 9 1.5",
    ]  # fmt: skip


def test_what_another_kernel_changes_is_told_where_there_are_two(
    html: str, tables: Mapping[str, pd.DataFrame]
) -> None:
    own = section(html, "kernels")
    changed = int(tables["changes"]["significant"].sum())
    assert own.text().count("+200.0 %") == 3 * changed > 0, "and the least and most of a seed"
    equal = int((tables["changes"]["verdict"] == "equal").sum())
    told = re.findall(r"(\d+) are equal to the bit in every pair", " ".join(own.text().split()))
    assert sum(map(int, told)) == equal > 0
    one = tables["changes"].iloc[:0]
    assert "what changed" not in section(write({**tables, "changes": one}), "kernels").text()


def test_what_is_missing_is_said(tables: Mapping[str, pd.DataFrame]) -> None:
    none = {name: tables[name].iloc[:0] for name in ("failures", "blockers", "claims", "needs")}
    made = write({**tables, **none})
    assert "Every lend was granted." in section(made, "failed").text()
    assert "No lend ended short." in section(made, "way").text()
    assert "Nothing is written down." in section(made, "strategy-cma").text()
    assert "By need" not in made
    assert "no lend failed" in section(made, "conclusion").text()


def without_vms(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of a run that asked for no VM."""
    return {**tables, "variants": tables["variants"].assign(vm_asked=0, vm_ran=0)}


def test_vms_have_an_answer_and_a_devices_memory_no_time_to_compare(
    html: str, tables: Mapping[str, pd.DataFrame]
) -> None:
    lines = [line.text() for line in section(html, "vm").every("tr")]
    mem = [line for line in lines if line.startswith("mem carveout")]
    assert mem
    assert all("cached, code beside" in line and "10 ms" not in line for line in mem)
    others = [line for line in lines if line.startswith(("CMA area", "hugetlbfs"))]
    assert others
    assert all("10 ms" in line for line in others)
    assert "No VM was asked for" in section(write(without_vms(tables)), "vm").text()


def unavailable(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of a run in which nothing could be had of a variant."""
    changed = dict(tables)
    for name in ("summary", "variants"):
        frame = tables[name]
        away = (frame["strategy"] == "cma") & (frame["granule"] == "2M")
        changed[name] = frame.assign(
            trials=frame["trials"].mask(away, 0),
            why_not_available=frame["why_not_available"].mask(away, "it has no <telepathy>"),
        )
    return changed


def test_what_cannot_be_had_is_named_with_the_reason(tables: Mapping[str, pd.DataFrame]) -> None:
    made = write(unavailable(tables))
    said = section(made, "conclusion").text()
    assert said.count("Not available: CMA area (it has no <telepathy>)") == 2


def test_of_too_many_trials_those_that_went_wrong_stay(
    tables: Mapping[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = tables["trials"]
    short = int((trials["outcome"] != "granted").sum())
    monkeypatch.setattr("carveout.report.embedded.MOST_ROWS", short + 10)
    found = embedded("trials", trials, Labels())
    assert found.left_out == len(trials) - short - 10
    made = str(found.data)
    assert "<" not in made
    assert made.count('"column":"outcome"') == 1


def test_the_needs_of_this_checkout_have_titles() -> None:
    found = read_titles(sorted(Path("workflow/needs").glob("*.yaml")))
    assert len(found) == 5
    assert next(iter(found)) == "static_vms"
    assert all(re.fullmatch(r"[A-Z].*[^.]", title) for title in found.values())


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (words("{} of {}", Name("a"), "b"), "a of b"),
        (listed([]), ""),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (joined(["a", "", "c"]), "a; c"),
        (joined(["a", "b", "c"], " < "), "a < b < c"),
    ],
)
def test_words_are_put_together(said: Any, wanted: str) -> None:
    assert str(said) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (bytes_label(GIB), "1 GiB"),
        (bytes_label(62.5 * MIB), "62.5 MiB"),
        (bytes_label(1000 * MIB), "1000 MiB"),
        (bytes_label(-3 * KIB), "-3 KiB"),
        (bytes_label(0), "0"),
        (bytes_label(None), "–"),
        (ns_label(1_234_567), "1.23 ms"),
        (ns_label(999), "999 ns"),
        (ns_label(100e9), "100 s"),
        (percent_label(0.874), "87 %"),
        (percent_label(float("nan")), "–"),
    ],
)
def test_quantities_for_people(text: str, wanted: str) -> None:
    assert text == wanted
