# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_area_in_zone with:
    wildcard_constraints:
        strategy="area_in_zone",
