# SPDX-License-Identifier: GPL-2.0-only
"""In comes the table of trials; out go rates, medians and failures of cells and strategies."""
