# SPDX-License-Identifier: GPL-2.0-only
"""The trial record: what a guest may say, and what became of each request by it."""
