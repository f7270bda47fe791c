# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that watch over the module and the tools: `make sanitize`, no part of `make test`."""
