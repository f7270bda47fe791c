# SPDX-License-Identifier: GPL-2.0-only
"""Statistics of the VMs that ran in what was lent."""

from typing import Any

import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from carveout.common.sizes import GIB
from carveout.tables.statistics_tables import VM_SHARES

# The columns of the trials that these statistics need.
COLUMNS = (
    *("vm_outcome", "vm_way", "vm_survived", "vm_first_instruction_ns", "vm_run_ns"),
    *("vm_stage2_faults", "vm_stage2_table_bytes"),
    *(f"{name.removesuffix('_share')}_bytes" for name in VM_SHARES),
)
_PER_GIB = {
    "vm_run_ns_per_gib_p50": "vm_run_ns",
    "vm_stage2_faults_per_gib": "vm_stage2_faults",
    "vm_stage2_table_per_gib_bytes": "vm_stage2_table_bytes",
}


def derive_vms(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials with columns to be counted and averaged by `count_vms`."""
    mapped = trials["vm_page_bytes"] + trials["vm_block_bytes"] + trials["vm_gigantic_bytes"]
    mapped = mapped.where(mapped > 0)
    ran = trials["vm_outcome"] == "ran"
    # Lends of nothing too, and hosts that died of it.
    asked = trials["vm_outcome"].notna() & (trials["vm_outcome"] != "not_asked")
    return trials.assign(
        vm_asked=asked,
        vm_ran=ran,
        vm_survived=trials["vm_survived"].fillna(value=False),
        vm_not_ran=trials["vm_outcome"].where(asked & ~ran),
        vm_first_instruction_ns_p50=trials["vm_first_instruction_ns"],
        **{name: trials[of] / mapped * GIB for name, of in _PER_GIB.items()},
        **{name: trials[f"{name.removesuffix('_share')}_bytes"] / mapped for name in VM_SHARES},
    )


def count_vms(groups: "DataFrameGroupBy[Any, Any]") -> pd.DataFrame:
    """Return in how many lends VMs ran, how they were mapped, and what they took."""
    medians = ["vm_first_instruction_ns_p50", *_PER_GIB, *VM_SHARES]
    return pd.concat(
        [
            groups[["vm_asked", "vm_ran", "vm_survived"]].sum(),
            groups["vm_not_ran"].agg(_most_frequent),
            groups["vm_way"].agg(_most_frequent),
            groups[medians].median(),
        ],
        axis="columns",
    )


def _most_frequent(values: "pd.Series[str]") -> str | None:
    """Return the most frequent of some words; of equals the first by name."""
    modes = values.mode()
    return None if modes.empty else str(modes.iloc[0])
