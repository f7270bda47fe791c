# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_lends_twice with:
    wildcard_constraints:
        strategy="lends_twice",
