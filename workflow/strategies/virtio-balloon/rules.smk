# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_virtio_balloon with:
    wildcard_constraints:
        strategy="virtio-balloon",
