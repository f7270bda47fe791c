# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_holder_dies with:
    wildcard_constraints:
        strategy="holder_dies",
