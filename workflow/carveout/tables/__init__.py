# SPDX-License-Identifier: GPL-2.0-only
"""In come the trials of all cells; out go tables, one checked schema each, as parquet files."""
