# SPDX-License-Identifier: GPL-2.0-only
"""Merging: results of a study's parts, made apart, become those of one run."""
