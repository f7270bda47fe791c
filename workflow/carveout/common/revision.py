# SPDX-License-Identifier: GPL-2.0-only
"""Which revision of carveout runs."""

from carveout.common.errors import CarveoutError
from carveout.common.processes import run_program


def git_revision() -> str:
    """Return the checkout's revision, and whether files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return run_program(command, "ask git") or "unknown"
    except CarveoutError:
        return "unknown"
