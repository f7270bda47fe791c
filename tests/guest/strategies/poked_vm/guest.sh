# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh

lend() {
	operate isolate lend contig $(($1 / 2)) $(($1 / 2)) "$PAGEBLOCK_BYTES" any free_first &&
		operate touch lend anonymous $(($1 / 2)) ordinary
}

give_back() {
	carveout vm "$SEED" 3 >/dev/console || fault error "the VM's monitor failed"
	operate free give-back
}
