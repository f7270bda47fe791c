# SPDX-License-Identifier: GPL-2.0-only
"""In come pins; out go packages of Debian's archive, verified, or what took their place."""
