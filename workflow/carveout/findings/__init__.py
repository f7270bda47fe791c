# SPDX-License-Identifier: GPL-2.0-only
"""In come tables; out go sentences and grids of numbers, each of which says where it is from."""
