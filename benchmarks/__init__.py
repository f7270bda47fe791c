# SPDX-License-Identifier: GPL-2.0-only
"""What measures carveout itself."""
