# SPDX-License-Identifier: GPL-2.0-only
"""In come tables and figures; out go one page of HTML and the comparison as plain text."""
