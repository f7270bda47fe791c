# SPDX-License-Identifier: GPL-2.0-only
"""In come a config, its lock and its kernels; out goes one file with all that a rerun needs."""
