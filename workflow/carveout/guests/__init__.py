# SPDX-License-Identifier: GPL-2.0-only
"""In come a machine and its files; out comes one running guest of QEMU's, booted or forked."""
