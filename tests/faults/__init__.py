# SPDX-License-Identifier: GPL-2.0-only
"""Faults that are planted in the measuring, one at a time, to see that the tests catch each."""
