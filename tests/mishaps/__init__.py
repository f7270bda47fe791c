# SPDX-License-Identifier: GPL-2.0-only
"""What may befall a run, each provoked: its trials come out the same, or one line says why not."""
