# SPDX-License-Identifier: GPL-2.0-only
"""In come packages; out go the kernels and QEMUs of which machines are made, and the lock."""
