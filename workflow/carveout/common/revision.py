# SPDX-License-Identifier: GPL-2.0-only
"""Which revision of carveout runs."""

import subprocess


def git_revision() -> str:
    """Return the checkout's revision, and whether files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
