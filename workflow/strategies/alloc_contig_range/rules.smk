# SPDX-License-Identifier: GPL-2.0-only


use rule boot_guest as boot_alloc_contig_range with:
    wildcard_constraints:
        strategy="alloc_contig_range",
