# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_takes_reserved with:
    wildcard_constraints:
        strategy="takes_reserved",
