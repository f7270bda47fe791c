# SPDX-License-Identifier: GPL-2.0-only
"""In comes a config; out goes the checked matrix of cells, and what code each rule depends on."""
