# SPDX-License-Identifier: GPL-2.0-only
"""Which revision of carveout runs."""

from pathlib import Path

from carveout.common.errors import CarveoutError
from carveout.common.processes import run_program

_OF_A_BUNDLE = Path("REVISION")  # is in a checkout that came in a bundle, without git


def git_revision() -> str:
    """Return the checkout's revision, and whether files differ from it."""
    if _OF_A_BUNDLE.exists():
        return _OF_A_BUNDLE.read_text(encoding="utf-8").strip()[:12]
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return run_program(command, "ask git") or "unknown"
    except CarveoutError:
        return "unknown"
