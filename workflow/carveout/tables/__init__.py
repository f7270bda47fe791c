# SPDX-License-Identifier: GPL-2.0-only
"""In come rows; out go tables, one checked schema each, as parquet files."""
