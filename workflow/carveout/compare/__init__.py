# SPDX-License-Identifier: GPL-2.0-only
"""In come the tables of two runs, or what one run's kernels change; out goes it for people."""
