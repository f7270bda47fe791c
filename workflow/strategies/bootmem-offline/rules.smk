# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_bootmem_offline with:
    wildcard_constraints:
        strategy="bootmem-offline",
