# SPDX-License-Identifier: GPL-2.0-only
"""What became of a lend, in one word."""

from collections.abc import Mapping, Sequence
from typing import Any


def lend_outcome(granted_bytes: int, request_bytes: int) -> str:
    """``granted``, ``partial`` or ``refused``, of a lend that the host lived to answer."""
    if granted_bytes >= request_bytes:
        return "granted"
    return "partial" if granted_bytes > 0 else "refused"


def trial_outcomes(records: Sequence[Mapping[str, Any]], requests: int) -> list[str]:
    """The outcomes of a trial's lends; those that the host did not live to see are ``crashed``."""
    answered = [
        lend_outcome(record["granted_bytes"], record["request_bytes"])
        for record in records
        if record["record"] == "lend"
    ]
    return answered + ["crashed"] * (requests - len(answered))
