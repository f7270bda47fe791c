# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_data_race with:
    wildcard_constraints:
        strategy="data_race",
