# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_monitor_dies with:
    wildcard_constraints:
        strategy="monitor_dies",
