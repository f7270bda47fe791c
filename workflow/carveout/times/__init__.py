# SPDX-License-Identifier: GPL-2.0-only
"""In come tables; out go figures of what a lend costs in guest time."""
