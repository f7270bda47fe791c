# SPDX-License-Identifier: GPL-2.0-only
#
# Its trials take longest: begun last, they would run when nothing else is left.


use rule boot_guest as boot_virtio_mem with:
    wildcard_constraints:
        strategy="virtio-mem",
    priority: 1
