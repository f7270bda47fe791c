# SPDX-License-Identifier: GPL-2.0-only
"""Trials that no guest has made: for measuring, and testing, what is done with very many."""
