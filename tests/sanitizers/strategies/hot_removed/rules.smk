# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_hot_removed with:
    wildcard_constraints:
        strategy="hot_removed",
