# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_as_found with:
    wildcard_constraints:
        strategy="as_found",
