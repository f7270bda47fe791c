# SPDX-License-Identifier: GPL-2.0-only
"""How far a run is: trials and cells done, rate, time left, outcomes so far.

Jobs of one run share one file: its first line says what the run is to do, every trial that ends
appends a line. Lines are short and appended by one write each, so that jobs need no lock.
"""

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path


def begin(path: Path, trials: int, cells: int) -> None:
    """Starts the progress of a run that is to make so many trials in so many cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plan = {"trials": trials, "cells": cells, "start_s": time.time()}
    path.write_text(json.dumps(plan) + "\n", encoding="utf-8")


class Progress:
    """Counts one cell's trials into the run's file and shows the whole run's state on stderr."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self, ending: str) -> None:
        """Counts one trial that ended so, and prints where the run stands."""
        self._append(ending)
        self._show()

    def finish_cell(self) -> None:
        """Counts one cell whose trials are all made."""
        self._append("cell")
        self._show()

    def _append(self, word: str) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, f"{word}\n".encode())
        finally:
            os.close(handle)

    def _show(self) -> None:
        lines = self._path.read_text(encoding="utf-8").split("\n")[:-1]
        if lines and lines[0].startswith("{"):
            print(describe(json.loads(lines[0]), Counter(lines[1:]), time.time()), file=sys.stderr)


def describe(plan: dict[str, float], done: Counter[str], now_s: float) -> str:
    """One line on a run: what is done, at which rate, what is left, how trials ended."""
    cells = done["cell"]
    endings = {word: count for word, count in sorted(done.items()) if word != "cell"}
    trials = sum(endings.values())
    elapsed_s = max(now_s - plan["start_s"], 1e-9)
    left_s = round((plan["trials"] - trials) * elapsed_s / max(trials, 1))
    words = ", ".join(f"{count} {word}" for word, count in endings.items())
    return (
        f"carveout: {trials}/{plan['trials']:.0f} trials, {cells}/{plan['cells']:.0f} cells, "
        f"{60 * trials / elapsed_s:.1f} trials/min, {left_s // 60}:{left_s % 60:02d} left ({words})"
    )
