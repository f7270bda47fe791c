# SPDX-License-Identifier: GPL-2.0-only
"""Made-up trials: to measure, and to test, what is done with very many."""
