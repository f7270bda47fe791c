# SPDX-License-Identifier: GPL-2.0-only
"""Plants a fault in a copy of the checkout and runs the tests that are to catch it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import copy_checkout
from tests.faults.faults import Fault, FaultError, narrow_configs

CAUGHT, MISSED, BROKEN = "caught", "MISSED", "BROKEN"
LIMIT_S = 1800


@dataclass(frozen=True)
class Run:
    """What came of some tests: the first that failed, or an error that let none speak."""

    failed: str | None
    error: str | None
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """What became of a fault, and the test that caught it or why none could."""

    fault: Fault
    verdict: str
    word: str
    seconds: float


def judge(fault: Fault) -> Verdict:
    """Plant a fault in a copy of its own and see whether its tests fail."""
    try:
        run = run_tests(fault.tests, fault.narrow, fault)
    except FaultError as error:
        return Verdict(fault, BROKEN, str(error), 0)
    if run.error and fault.said and fault.said in run.error:
        return Verdict(fault, CAUGHT, f"refused: {fault.said}", run.seconds)
    if run.error:
        return Verdict(fault, BROKEN, run.error, run.seconds)
    if run.failed:
        return Verdict(fault, CAUGHT, run.failed, run.seconds)
    return Verdict(fault, MISSED, "its tests pass", run.seconds)


def run_tests(
    tests: Sequence[str], narrow: Mapping[str, Mapping[str, Any]], fault: Fault | None
) -> Run:
    """Run tests in a copy of the checkout, with a fault in it or, as a control, without one."""
    with tempfile.TemporaryDirectory(prefix="carveout-fault-") as name:
        checkout = copy_checkout(Path(name)).path
        # What a test copies is what git knows or would add.
        subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
        narrow_configs(narrow, checkout)
        if fault:
            fault.plant(checkout)
        return _pytest(checkout, tests)


def _pytest(checkout: Path, tests: Sequence[str]) -> Run:
    report = checkout / ".report.xml"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, f"--junitxml={report}", f"--basetemp={checkout / '.tmp'}", *tests],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "workflow")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        # Snakemake ends its guests on SIGTERM.
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()
        return Run(failed=None, error=f"not done after {LIMIT_S} s", seconds=LIMIT_S)
    seconds = time.monotonic() - began
    cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    failed = next((_name(case) for case in cases if case.find("failure") is not None), None)
    error = next((_words(case) for case in cases if case.find("error") is not None), None)
    if not failed and not error and process.returncode:
        error = said.strip()[-2000:]
    return Run(failed=failed, error=error, seconds=seconds)


def _name(case: ET.Element) -> str:
    return f"{case.get('classname', '')}.{case.get('name', '')}".removeprefix("tests.")


def _words(case: ET.Element) -> str:
    """What a fixture said that could not make what the test is about."""
    error = case.find("error")
    text = "" if error is None else error.text or ""
    return f"{_name(case)}: {text.strip()}"
