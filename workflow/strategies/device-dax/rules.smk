# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_device_dax with:
    wildcard_constraints:
        strategy="device-dax",
