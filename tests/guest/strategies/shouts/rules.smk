# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_shouts with:
    wildcard_constraints:
        strategy="shouts",
