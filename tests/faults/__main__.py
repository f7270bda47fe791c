# SPDX-License-Identifier: GPL-2.0-only
"""Plants the faults of the list, one after another, and tells which of them the tests caught.

``make faults``, or ``python -m tests.faults --only WORDS``.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.faults.faults import Fault, read_faults
from tests.faults.harness import BROKEN, CAUGHT, Verdict, judge, run_tests


def main() -> int:
    """Return 0 when every fault was caught by tests that pass without it."""
    args = _arguments()
    faults = [
        fault
        for fault in read_faults()
        if not args.only or any(word in f"{fault.file}: {fault.name}" for word in args.only)
    ]
    if args.list:
        for fault in faults:
            print(f"{fault.file}: {fault.name}")
        return 0
    began = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        unsound = {} if args.no_controls else _unsound(faults, pool)
        verdicts = list(pool.map(lambda fault: _judge(fault, unsound), faults))
    _print_table(verdicts, time.monotonic() - began)
    return 0 if all(verdict.verdict == CAUGHT for verdict in verdicts) else 1


def _selection(fault: Fault) -> str:
    return json.dumps([fault.tests, fault.narrow], sort_keys=True)


def _unsound(faults: Sequence[Fault], pool: ThreadPoolExecutor) -> dict[str, str]:
    """Run every selection of tests without a fault; return what failed, by selection."""
    selections = {_selection(fault): fault for fault in faults}

    def control(fault: Fault) -> str | None:
        run = run_tests(fault.tests, fault.narrow, None)
        _tell(f"without a fault, {run.seconds:.0f} s: {' '.join(fault.tests)}")
        return run.failed or run.error

    found = zip(selections, pool.map(control, selections.values()), strict=True)
    return {selection: failed for selection, failed in found if failed}


def _judge(fault: Fault, unsound: dict[str, str]) -> Verdict:
    if _selection(fault) in unsound:
        word = f"fails without it too: {unsound[_selection(fault)]}"
        return Verdict(fault, BROKEN, word, 0)
    verdict = judge(fault)
    _tell(f"{verdict.verdict}, {verdict.seconds:.0f} s: {fault.name}: {verdict.word}")
    return verdict


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_table(verdicts: Sequence[Verdict], seconds: float) -> None:
    for verdict in verdicts:
        mark = "*" if verdict.fault.test_added else " "
        word = verdict.word if verdict.verdict == CAUGHT else verdict.word.splitlines()[-1]
        print(
            f"{verdict.verdict:6} {mark} {verdict.fault.name} [{verdict.fault.file.name}]: {word}"
        )
    caught = sum(verdict.verdict == CAUGHT for verdict in verdicts)
    added = sum(verdict.fault.test_added for verdict in verdicts)
    print(f"{len(verdicts)} faults planted, {caught} caught, in {seconds / 60:.0f} min")
    print(f"* {added} of them only since a test was added for it")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", help="faults with these words in name or file")
    parser.add_argument("--list", action="store_true", help="name the faults and do nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument(
        "--no-controls", action="store_true", help="do not run the tests without a fault first"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
