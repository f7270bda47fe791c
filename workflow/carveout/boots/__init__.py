# SPDX-License-Identifier: GPL-2.0-only
"""In comes a cell; out go its trials, one line of JSON each, whatever became of the host."""
