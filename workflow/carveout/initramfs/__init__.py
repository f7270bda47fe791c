# SPDX-License-Identifier: GPL-2.0-only
"""In come a kernel and sources for the guest; out go the archives that a host boots into."""
