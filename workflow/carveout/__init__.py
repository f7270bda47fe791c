# SPDX-License-Identifier: GPL-2.0-only
"""carveout: what setting memory aside for virtual machines costs, measured on real kernels."""
