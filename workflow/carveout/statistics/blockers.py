# SPDX-License-Identifier: GPL-2.0-only
"""What was in the way of lends that ended short."""

import pandas as pd

from carveout.tables.comparison_tables import BLOCKERS

_KEY = list(BLOCKERS.key)
# What the type of a page is never called.
VETO = "veto"
UNEXPLAINED = "unexplained"
# What is read of a page that was named; of some pages nobody knows the owner.
_MEMBERS = {
    "type": r'"type": ?"([^"]*)"',
    "owner": r'"owner": ?"([^"]+)"',
    "pfn": r'"pfn": ?([0-9]+)',
}


def list_blockers(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the table `blockers`: each lend that ended short, in the row of what was in its way.

    That is the page or pageblock that was named, by its type and owner. Where none was: `veto`
    where the kernel forbade it whatever lay there, else the reason that explains it, as
    `host_needs_the_rest` or `device_is_full`; and `unexplained` where nothing does.
    """
    short = trials[trials["explained"].notna()]
    named = short["blocker"].notna()
    no_page = short["reason"].where(short["errno"] != "EPERM", VETO)
    no_page = no_page.where(short["explained"].astype(bool), UNEXPLAINED)
    page = {
        name: short["blocker"].str.extract(pattern, expand=False)
        for name, pattern in _MEMBERS.items()
    }
    short = short.assign(
        in_the_way=page["type"].where(named, no_page),
        owner=page["owner"],
        example_pfn=page["pfn"].astype("Int64"),
    ).sort_values(["dose_target", "seed", "cycle"], kind="stable")
    groups = short.groupby(_KEY, dropna=False, sort=False)
    first = short.drop_duplicates(_KEY).set_index(_KEY)
    counts = pd.DataFrame({"count": groups["trial_id"].nunique(), "shorts": groups.size()})
    counts = counts.reset_index()
    examples = {"trial_id": "example_trial_id", "dose_target": "example_dose"}
    found = first.reset_index().rename(columns=examples)[[*_KEY, *examples.values(), "example_pfn"]]
    return counts.merge(found, on=_KEY)[list(BLOCKERS.columns)]
