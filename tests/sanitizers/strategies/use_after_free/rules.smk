# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_use_after_free with:
    wildcard_constraints:
        strategy="use_after_free",
