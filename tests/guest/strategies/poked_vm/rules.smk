# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_poked_vm with:
    wildcard_constraints:
        strategy="poked_vm",
