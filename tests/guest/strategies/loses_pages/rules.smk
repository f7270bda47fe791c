# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_loses_pages with:
    wildcard_constraints:
        strategy="loses_pages",
