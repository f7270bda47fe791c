# SPDX-License-Identifier: GPL-2.0-only
"""Kernels in the cache: of packages, built from source, or of the user's own."""
