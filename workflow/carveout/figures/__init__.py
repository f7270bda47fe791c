# SPDX-License-Identifier: GPL-2.0-only
"""In come tables; out go figures of what is lent, how well, and what is in the way."""
