# SPDX-License-Identifier: GPL-2.0-only
"""In comes one table; out goes one figure, as SVG and PNG."""
