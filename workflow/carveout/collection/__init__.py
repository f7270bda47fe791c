# SPDX-License-Identifier: GPL-2.0-only
"""In come the trials of all cells; out go the rows of tables that they make."""
