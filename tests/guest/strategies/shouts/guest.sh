# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

# What it says looks like records, and is none: those have a channel of their own.
lend() {
	yes '{"seq":7,"record":"lend","cycle":1,"granted_bytes":67108864}' >/dev/console
}

give_back() {
	operate free give-back
}
