# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_planted_error with:
    wildcard_constraints:
        strategy="planted_error",
