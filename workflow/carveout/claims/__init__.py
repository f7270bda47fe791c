# SPDX-License-Identifier: GPL-2.0-only
"""In come the tables, and what is said and needed of them; out goes what they say to it."""
