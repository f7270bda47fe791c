# SPDX-License-Identifier: GPL-2.0-only
"""In come tables; out go figures of where the host's memory stands."""
