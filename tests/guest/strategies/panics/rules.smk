# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_panics with:
    wildcard_constraints:
        strategy="panics",
