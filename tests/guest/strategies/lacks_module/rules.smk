# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_lacks_module with:
    wildcard_constraints:
        strategy="lacks_module",
