# SPDX-License-Identifier: GPL-2.0-only
"""A real Slurm on this machine, and runs through it."""
