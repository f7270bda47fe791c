# SPDX-License-Identifier: GPL-2.0-only
# Claims: what the tables say to the literature's statements, and to those who need memory lent.
#
# A statement is a file's or a strategy's; a need is a file. They are read here, so that one that is
# wrong is told of before anything boots.

from carveout.claims.needs import columns_needed, read_needs
from carveout.claims.statements import read_pages

# Published figures are marks in figures, which nothing judges.
PAGES = [f"{folder}/strategy.yaml" for folder in STRATEGY_FOLDERS.values()] + sorted(
    set(glob.glob("workflow/claims/*.yaml")) - {"workflow/claims/published.yaml"}
)
NEEDED = sorted(glob.glob("workflow/needs/*.yaml"))
try:
    TABLES_OF_CLAIMS = columns_needed(
        read_pages(map(Path, PAGES)), read_needs(map(Path, NEEDED))
    )
except CarveoutError as error:
    sys.exit(f"carveout: {error}")


rule judge_claims:
    input:
        trials=table("trials"),
        phases=table("phases"),
        digests=table_digests("trials", "phases"),
        statistics=expand(
            "<results>/tables/{name}.parquet",
            name=sorted(set(TABLES_OF_CLAIMS) - {"trials", "phases"}),
        ),
        pages=PAGES,
        needed=NEEDED,
    output:
        claims="<results>/tables/claims.parquet",
        needs="<results>/tables/needs.parquet",
        claims_csv=report(
            "<results>/tables/claims.csv",
            caption="../report/claims.rst",
            category="Tables",
            labels={"table": "the literature, executed"},
        ),
        needs_csv=report(
            "<results>/tables/needs.csv",
            caption="../report/needs.rst",
            category="Tables",
            labels={"table": "who meets which need"},
        ),
    log:
        "<logs>/tables/judge_claims.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.claims.judge"),
        tables=subpath(output.claims, parent=True),
    shell:
        "python -m carveout.claims.judge --tables {params.tables:q} --pages {input.pages:q}"
        " --needed {input.needed:q} --claims {output.claims:q} --needs {output.needs:q} >{log:q}"


rule claims:
    input:
        rules.judge_claims.output,
