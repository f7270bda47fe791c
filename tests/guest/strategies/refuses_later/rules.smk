# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_refuses_later with:
    wildcard_constraints:
        strategy="refuses_later",
