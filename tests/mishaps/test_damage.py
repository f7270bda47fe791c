# SPDX-License-Identifier: GPL-2.0-only
"""Bits that flip and files that are cut: made anew, or refused in one line; never a number."""

import contextlib
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.mishaps.study import Study, cut, finish, flip_a_bit, told

# Files of each kind that the cache has, by a pattern, and what is told of one that is damaged.
CACHED = {
    "the Image of a kernel": ("kernels/*/Image", "it is made anew"),
    "a module of a kernel": ("kernels/*/usr/lib/modules/*/kernel/mm/*.ko*", "it is made anew"),
    "a header of a kernel": ("kernels/*/usr/src/*/include/generated/autoconf.h", "it is made anew"),
    "the list of a kernel's files": ("kernels/*/.carveout.sha256", "it is made anew"),
    "carveout's module": ("modules/*/*.ko", "it is made anew"),
    "a program for guests": ("packages/*/**/busybox", "it is made anew"),
    "a package": ("archive/*.deb", "downloaded anew"),
    "the lists of the archive": ("apt/*/state/lists/*_Packages*", None),  # apt looks at them
}
# What is made of packages, which are read again only where it is gone.
UNPACKED = ("kernels", "packages", "modules")


@pytest.fixture(scope="module")
def with_cache(whole: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A single trial of the study, on a machine that fetched all for it into a cache of its own."""
    cache = tmp_path_factory.mktemp("cache")
    one_trial = {"strategies": {"mem": ["carve_out"]}, "loads": {"idle": [0]}, "seeds": 1}
    study = whole.changed("one_trial", **one_trial, also=[])
    study.run("of whole cache")
    study = replace(study, variables={"XDG_CACHE_HOME": str(cache)})
    study.run("fetched")
    assert study.digests("fetched") == study.digests("of whole cache")
    return study


def run_until_it_is_whole(study: Study, results: str) -> list[str]:
    """Runs, and does what a line says where it says to remove a file; returns all lines."""
    lines: list[str] = []
    for _ in range(4):
        run = study.start(results)
        said, _ = run.communicate()
        assert "Traceback" not in said, said
        lines += (new := told(said))
        if run.returncode == 0:
            return lines
        assert new, said
        for line in new:
            if file := re.match(r"carveout: (\S+).* (?:remove|delete) (?:it|the file)", line):
                Path(study.checkout, file[1].rstrip(":")).unlink()
    raise AssertionError(lines)


@pytest.mark.parametrize("damage", [cut, flip_a_bit])
@pytest.mark.parametrize("kind", CACHED)
def test_what_is_damaged_in_the_cache_is_told_and_made_anew(
    with_cache: Study, kind: str, damage: Callable[[Path], None]
) -> None:
    cache = Path(with_cache.variables["XDG_CACHE_HOME"], "carveout")
    pattern, wanted = CACHED[kind]
    found = [path for path in sorted(cache.glob(pattern)) if path.stat().st_size]
    assert found, f"the cache has {kind}"
    for path in found:
        damage(path)
    if kind == "a package":
        for folder in UNPACKED:
            shutil.rmtree(cache / folder)
    shutil.rmtree(with_cache.checkout / "damaged", ignore_errors=True)
    lines = run_until_it_is_whole(with_cache, "damaged")
    print(*lines, sep="\n")
    assert with_cache.digests("damaged") == with_cache.digests("of whole cache")
    assert not wanted or any(wanted in line for line in lines), lines


def one_cell(study: Study, results: str) -> tuple[Path, str]:
    """A cell's file of a whole copy of the results, and the file from the results."""
    shutil.copytree(study.checkout / "whole", study.checkout / results)
    path = next((study.checkout / results / "trials").glob("**/mem/*/anonymous_memory.*.jsonl"))
    return path, str(path.relative_to(study.checkout))


def test_a_bit_of_a_line_of_trials_is_refused_by_its_file(study: Study) -> None:
    path, name = one_cell(study, "flipped")
    wanted = path.read_bytes()
    flip_a_bit(path, place=wanted.index(b'"lend_ns":') + len(b'"lend_ns":'))
    shutil.rmtree(study.checkout / "flipped/tables")
    (line,) = told(study.run("flipped", fails=True))
    assert line.startswith(f"carveout: {name}: wanted lines as the runner wrote them, found ")
    assert line.endswith("remove the file to run its cell again")
    path.unlink()
    study.run("flipped")
    assert study.digests("flipped") == study.digests("whole")


def journal_with_a_lend(results: Path) -> Path | None:
    """A journal of a cell half done that has a trial which lent."""
    journals = results.glob("journals/**/*.jsonl")
    return next((path for path in journals if b'"lend_ns":' in path.read_bytes()), None)


def test_a_bit_of_a_journal_makes_its_trial_anew(study: Study) -> None:
    run = study.start("journal")
    path = wait_until(lambda: journal_with_a_lend(study.checkout / "journal"))
    run.kill()  # one that is asked to end packs the journals of its cells
    run.communicate()
    study.wait_for_no("runner", "qemu")
    flip_a_bit(path, place=path.read_bytes().index(b'"lend_ns":') + len(b'"lend_ns":'))
    study.run("journal")
    assert study.digests("journal") == study.digests("whole")
    study.assert_nothing_is_left("journal")


@pytest.mark.parametrize("image", ["base", "strategies/mem", "loads/idle"])
def test_a_bit_of_an_image_is_refused_before_it_boots(study: Study, image: str) -> None:
    path, _ = one_cell(study, "image")
    shutil.rmtree(study.checkout / "image/tables")
    for cell in path.parent.glob("idle.*"):
        cell.unlink()
        (journal,) = (study.checkout / "image/journals").glob(f"**/mem/*/{cell.stem}.jsonl.gz")
        journal.unlink()
    flip_a_bit(study.checkout / f"image/guest/debian-6.12/{image}.cpio")
    (line,) = told(study.run("image", fails=True))
    assert line.startswith(f"carveout: image/guest/debian-6.12/{image}.cpio: wanted the archive")
    (study.checkout / f"image/guest/debian-6.12/{image}.cpio").unlink()
    study.run("image")
    assert study.digests("image") == study.digests("whole")


def saved_states(study: Study, copy: str) -> list[Path]:
    """The files of saved states: `ready`, or the copies that QEMUs have of them."""
    return list(study.temporary.glob(f"carveout-job-*/*/{copy}/state"))


def test_a_bit_of_a_saved_state_ends_its_job(study: Study) -> None:
    run = study.start("state")
    wait_until(lambda: study.forks() and study.made_now("state"))
    for state in saved_states(study, "ready"):
        flip_a_bit(state)
    for qemu in study.forks():  # so that another fork is made of it
        with contextlib.suppress(psutil.NoSuchProcess):
            qemu.kill()
    lines = told(finish(run, fails=True))
    assert lines
    assert all("wanted the state that was saved" in line for line in lines)
    study.run("state")
    assert study.digests("state") == study.digests("whole")
    study.assert_nothing_is_left("state")


def runs_its_guest(copy: Path) -> bool:
    """Whether the QEMU that has a copy has read it, and its guest goes on from there."""
    ready = copy.parent.parent / "ready/records.jsonl"
    with contextlib.suppress(FileNotFoundError):
        return copy.with_name("records.jsonl").stat().st_size > ready.stat().st_size
    return False


def test_a_bit_of_the_copy_that_a_qemu_has_makes_no_trial(study: Study) -> None:
    run = study.start("copy", "--cores", "1")
    flipped: set[Path] = set()
    seen: set[tuple[psutil.Process, int]] = set()
    while run.poll() is None:
        for copy in filter(runs_its_guest, set(saved_states(study, "tmp*")) - flipped):
            with contextlib.suppress(FileNotFoundError):
                flip_a_bit(copy)
                flipped.add(copy)
        seen |= set(study.forks().items())
        time.sleep(0.02)
    assert told(finish(run)) == []
    of_jobs = Counter(job for _, job in seen)
    assert max(of_jobs.values()) == 4, "a trial of such a job has each a QEMU with another copy"
    assert study.digests("copy") == study.digests("whole")
    study.assert_nothing_is_left("copy")
