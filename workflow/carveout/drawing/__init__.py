# SPDX-License-Identifier: GPL-2.0-only
"""In comes the name of a figure and its tables; out goes the figure, in the style of all."""
