# SPDX-License-Identifier: GPL-2.0-only
"""What the texts show of runs, and the program that puts it there."""
