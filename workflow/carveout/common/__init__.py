# SPDX-License-Identifier: GPL-2.0-only
"""Leaves that every room may use: errors, files, processes, sizes, schemas, the cache, rates."""
