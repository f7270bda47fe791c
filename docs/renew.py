# SPDX-License-Identifier: GPL-2.0-only
"""Put into the texts what runs found: ``python -m docs.renew excerpt=results ...``.

Of each run its text is kept in ``docs/runs``, as the run wrote it, or what the run took, and some
of its figures in ``docs/figures``. Texts show parts of what is kept, word for word, between lines
of code after a comment that says which:

    <!-- from docs/runs/excerpt.txt: HEADING OF A MACHINE / FIRST LINE ... / LINE THAT FOLLOWS -->

Without a run the texts are only made to agree with what is kept; a test wants that this changes
nothing.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from carveout.common.errors import CarveoutError, entry_point
from carveout.common.files import write_atomically
from docs.effort import effort

DOCS = Path("docs")
TEXTS = (Path("README.md"), *sorted(DOCS.glob("*.md")))


@dataclass(frozen=True)
class Kept:
    """What is kept of a run.

    Attributes:
        text: the file among its results that is kept, if one is.
        figures: the names of the figures among its results that are kept.
        has_effort: whether what it took is counted in its tables.
    """

    text: str | None = None
    figures: tuple[str, ...] = ()
    has_effort: bool = False


RUNS = {
    "main": Kept(has_effort=True),
    "excerpt": Kept("summary.txt", ("decision", "frontier", "memmap_overhead", "accounts")),
    "review": Kept("summary.txt", ("memmap_by_ram",)),
    # python -m benchmarks --only seeds --only cells --only rows
    "growth": Kept("bench.txt"),
    # pytest -s -m long tests/cluster
    "queue": Kept("queue.txt"),
}
_SHOWN = re.compile(
    r"(?P<comment><!-- from docs/runs/(?P<run>[\w.]+)\.txt: (?P<machine>[^/\n]*)"
    r" / (?P<first>[^/\n]*) \.\.\. / (?P<after>[^/\n]*) -->\n```\n)(?P<shown>.*?)(?P<end>^```\n)",
    re.DOTALL | re.MULTILINE,
)


def kept_text(run: str) -> Path:
    """Return the file that has what a run found."""
    return DOCS / "runs" / f"{run}.txt"


def keep(run: str, results: Path) -> None:
    """Keep what the texts show of a run.

    Raises:
        CarveoutError: the results have none.
    """
    if run not in RUNS:
        raise CarveoutError(f"wanted a run of {', '.join(RUNS)}, found {run}")
    kept = RUNS[run]
    wanted = {results / kept.text: kept_text(run)} if kept.text else {}
    wanted |= {
        results / "figures" / f"{name}.png": DOCS / "figures" / f"{name}.png"
        for name in kept.figures
    }
    for source in wanted:
        if not source.is_file():
            raise CarveoutError(f"{source}: wanted what run {run} found, found no such file")
    for source, target in wanted.items():
        write_atomically(target, source.read_bytes())
    if kept.has_effort:
        write_atomically(kept_text(f"{run}.effort"), effort(results))


def renewed(text: Path) -> str:
    """Return a text with all that it shows as the kept summaries have it."""
    content = text.read_text(encoding="utf-8")
    return _SHOWN.sub(lambda found: _replaced(found, text), content)


def _replaced(found: re.Match[str], text: Path) -> str:
    part = _part(kept_text(found["run"]), found["machine"], found["first"], found["after"], text)
    return f"{found['comment']}{part}\n{found['end']}"


def _part(summary: Path, machine: str, first: str, after: str, text: Path) -> str:
    """Return the lines of a machine from one to the one before another; "" is the end.

    Raises:
        CarveoutError: the summary has no such lines.
    """
    lines = summary.read_text(encoding="utf-8").splitlines()
    begins = _place(lines, 0, machine, summary, text) if machine else 0
    begins = _place(lines, begins, first, summary, text)
    ends = _place(lines, begins, after, summary, text) if after else len(lines)
    return "\n".join(lines[begins:ends]).strip("\n")


def _place(lines: list[str], least: int, beginning: str, summary: Path, text: Path) -> int:
    for place in range(least, len(lines)):
        if lines[place].startswith(beginning):
            return place
    raise CarveoutError(
        f"{text}: wanted a line of {summary} that begins with {beginning!r}, found none after line "
        f"{least}; see its comment `from {summary}`"
    )


@entry_point
def main() -> None:
    """Keep what runs found, and renew all texts."""
    parser = argparse.ArgumentParser(prog="python -m docs.renew", description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN=RESULTS")
    for argument in parser.parse_args().runs:
        run, _, results = argument.partition("=")
        keep(run, Path(results))
    for text in TEXTS:
        write_atomically(text, renewed(text))


if __name__ == "__main__":
    sys.exit(main())
