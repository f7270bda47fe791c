# SPDX-License-Identifier: GPL-2.0-only
"""The measures, one module each: `measure` takes a `Bench` and returns rows of the table."""
