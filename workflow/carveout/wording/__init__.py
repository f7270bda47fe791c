# SPDX-License-Identifier: GPL-2.0-only
"""In come names and numbers of tables; out go the words for them that people read."""
