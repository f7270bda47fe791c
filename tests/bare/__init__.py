# SPDX-License-Identifier: GPL-2.0-only
"""Runs on a machine that has nothing: `make bare`, no part of `make test`."""
