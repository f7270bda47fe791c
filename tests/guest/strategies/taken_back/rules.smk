# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_taken_back with:
    wildcard_constraints:
        strategy="taken_back",
