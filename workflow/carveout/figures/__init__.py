# SPDX-License-Identifier: GPL-2.0-only
"""The figures, one module each: tables in, a matplotlib figure out."""
