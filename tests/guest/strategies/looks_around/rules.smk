# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_looks_around with:
    wildcard_constraints:
        strategy="looks_around",
