# SPDX-License-Identifier: GPL-2.0-only
"""In come pins; out go kernels, QEMUs and a busybox of Debian's archive, in the cache."""
