# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_added_blocks with:
    wildcard_constraints:
        strategy="added_blocks",
