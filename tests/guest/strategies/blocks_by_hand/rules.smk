# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_blocks_by_hand with:
    wildcard_constraints:
        strategy="blocks_by_hand",
