# SPDX-License-Identifier: GPL-2.0-only
"""All tables of a made-up run: two kernels, two granules, several doses, VMs, needs and claims."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from benchmarks.synthetic.trials import made_metadata, made_runs, made_trials

from carveout.common.sizes import GIB, MIB
from carveout.statistics.blockers import list_blockers
from carveout.statistics.compare import compare
from carveout.statistics.curves import describe_curves
from carveout.statistics.pair import find_changes
from carveout.statistics.summarize import (
    describe_kernels,
    describe_variants,
    list_failures,
    summarize,
)
from carveout.tables.parquet import read_table, write_table
from carveout.tables.schema import COMPARABLE

BEFORE, AFTER = "debian-6.12-arm64", "my-tree"
REFERENCE = ("baseline", "ordinary_pages")
NEEDS = {
    "static_vms": "A few static VMs",
    "comes_back": "Memory must come back",
    "gib_blocks": "Blocks of 1 GiB",
}
PAGES = ("mail", "kernel", "field", "cma")


def rich_trials() -> pd.DataFrame:
    """Trials at several doses of two loads, on two kernels, in two granules, with VMs."""
    trials = made_trials()
    of_load = trials["load"] == "unmovable_pages"
    denser = trials[of_load].assign(load="anonymous_memory", dose_target=70.0, dose_achieved=70.0)
    denser = denser.assign(trial_id=denser["trial_id"] + "d")
    # Beside a carve-out the host carries less, and trims what goes beyond it.
    denser.loc[denser["strategy"] == "mem", "dose_achieved"] = 55.0
    trials = with_vms(pd.concat([trials, denser, *_higher_doses(trials[of_load])]))
    blocks = trials.assign(granule="2M", trial_id=trials["trial_id"] + "2M")
    every = pd.concat([trials, blocks])
    slower = every.assign(kernel=AFTER, give_back_ns=every["give_back_ns"] * 3)
    return pd.concat([every, slower], ignore_index=True)


def _higher_doses(trials: pd.DataFrame) -> list[pd.DataFrame]:
    """Trials of some strategies at two higher doses, of which one misses the last."""
    some = trials[trials["strategy"].isin(["baseline", "mem", "cma"])]
    found = []
    for dose in (20.0, 30.0):
        more = some.assign(dose_target=dose, dose_achieved=dose)
        more.loc[(more["strategy"] == "mem") & (dose > 20), "dose_achieved"] = 25.0
        found.append(more.assign(trial_id=more["trial_id"] + f"d{dose:.0f}"))
    return found


def with_vms(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials in which a VM ran in all that was lent, at 10 ms per GiB; that of mem is a device's.

    Where nothing was lent, the host died of it.
    """
    ran, hidden = trials["lent_bytes"] > 0, trials["strategy"] == "mem"
    lent = trials["lent_bytes"].where(ran)
    counts = dict.fromkeys(("vm_stage2_faults", "vm_stage2_table_bytes", "vm_uncached_bytes"), 1)
    none = dict.fromkeys(("vm_block_bytes", "vm_gigantic_bytes"), 0)
    return trials.assign(
        vm_outcome=ran.map({True: "ran", False: "host_died"}),
        vm_way=hidden.map({True: "cacheable_code_beside", False: "cacheable"}),
        vm_first_instruction_ns=lent.where(lent.isna(), 2_000_000),
        vm_run_ns=lent / GIB * 10_000_000,
        vm_page_bytes=lent,
        vm_count=lent.where(lent.isna(), 1),
        vm_pages_checked=lent // 4096,
        vm_pages_bad=lent.where(lent.isna(), 0),
        vm_device_bytes=lent.where(hidden, 0),
        vm_survived=ran,
        **counts,
        **none,
    )


def write_tables(folder: Path, trials: pd.DataFrame, pairs: Sequence[tuple[str, str]] = ()) -> Path:
    """Write the trials, and all that is made of them, with made-up needs and claims."""
    write_table("trials", trials, folder / "trials.parquet", made_metadata())
    write_table("runs", made_runs(), folder / "runs.parquet")
    read = read_table("trials", folder / "trials.parquet")
    made = {
        "summary": summarize(read),
        "variants": describe_variants(read),
        "failures": list_failures(read),
        "blockers": list_blockers(read),
        "comparisons": compare(read, [REFERENCE]),
        "changes": told_changes(find_changes(read, pairs)),
        "claims": made_claims(),
    }
    for name, frame in made.items():
        write_table(name, frame, folder / f"{name}.parquet")
    summary, variants = (
        read_table(name, folder / f"{name}.parquet") for name in ("summary", "variants")
    )
    curves = describe_curves(summary, read)
    write_table("curves", curves, folder / "curves.parquet")
    write_table("kernels", describe_kernels(read, variants, curves), folder / "kernels.parquet")
    write_table("needs", made_needs(variants), folder / "needs.parquet")
    return folder


def told_changes(changes: pd.DataFrame) -> pd.DataFrame:
    """The changes as if there were seeds enough to tell those that are large."""
    return changes.assign(significant=(changes["relative_change"].abs() > 1).fillna(value=False))


def made_needs(variants: pd.DataFrame) -> pd.DataFrame:
    """Who strands more than a quarter is not fit; two are best, for one need alike to the bit."""
    key = [*COMPARABLE, "strategy", "variant"]
    rows = []
    for own in variants[variants["trials"] > 0].drop_duplicates(key).to_dict("records"):
        rows += [_need(need, own) for need in NEEDS]
    return pd.DataFrame(rows)


def _need(need: str, own: Mapping[Any, Any]) -> dict[str, Any]:
    fit = None if own["variant"] == "area" else bool(own["stranded_bytes"] <= 256 * MIB)
    measure = float(own["lend_ns_per_gib_p50"]) if fit and need != "gib_blocks" else None
    first = own["variant"] in ("2M_run_time", "zone_movable")
    if first and measure and need == "comes_back":
        measure = 4e7
    return {
        **{name: own[name] for name in (*COMPARABLE, "strategy", "variant")},
        "need": need,
        "place": list(NEEDS).index(need) + 1,
        "qualifies": None if need == "gib_blocks" and fit else fit,
        "broken": "strands too much" if fit is False else None,
        "why_not": None if fit and need != "gib_blocks" else "strands 1 GiB",
        "measure_name": "lend_ns_per_gib",
        "unit": "seed",
        "more_is_better": False,
        "measure": measure,
        "rank": None if measure is None else 1 if first else 2,
        "best": measure is not None and first,
        "tells_apart": {
            "zone_movable": False if measure is not None else None,
            "ordinary_pages": True if measure is not None else None,
        }.get(own["variant"]),
    }


def made_claims() -> pd.DataFrame:
    """A statement of each verdict on each page."""
    rows = [
        {
            "page": page,
            "number": number,
            "strategy": page if page == "cma" else None,
            "says": f"Statement {number} of <b>{page}</b> & others: 7/8",
            "source": "Somebody, 17 October 2020",
            "verdict": verdict,
            "why_not_tested": "no kernel 9.9" if verdict == "not_tested" else None,
            "rows": 0 if verdict == "not_tested" else 12,
            "rows_held": {"confirmed": 12, "contradicted": 3, "not_tested": 0}[verdict],
            "numbers": None if verdict == "not_tested" else "memmap 12 MiB of 16 MiB",
        }
        for page in PAGES
        for number, verdict in enumerate(("confirmed", "contradicted", "not_tested"), 1)
    ]
    return pd.DataFrame(rows)
