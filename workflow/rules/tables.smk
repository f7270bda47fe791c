# SPDX-License-Identifier: GPL-2.0-only
# Tables: statistics of the trials. All that follows is made from the tables alone.


include: "redraw.smk"


TABLE_SOURCES = [
    f"workflow/carveout/{name}.py" for name in ("errors", "files", "sizes", "tables")
]


rule collect_trials:
    input:
        trials=cell_files("trials"),
        runs=cell_files("runs"),
        sources=[
            *TABLE_SOURCES,
            *(
                f"workflow/carveout/{name}.py"
                for name in ("collect", "outcomes", "rows")
            ),
        ],
    output:
        tables=expand(
            "<results>/tables/{name}.parquet", name=["trials", "phases", "runs"]
        ),
        digests=expand(
            "<results>/tables/{name}.sha256", name=["trials", "phases", "runs"]
        ),
    log:
        "<logs>/tables/collect_trials.log",
    conda:
        CONDA_ENVIRONMENT
    threads: 4
    params:
        results=subpath(output[0], ancestor=2),
        machines=paths_of("machine_path"),
        variants=paths_of("variant_path"),
        scenarios=paths_of("scenario"),
    shell:
        "python -m carveout.collect --results {params.results:q} --machines {params.machines:q}"
        " --variants {params.variants:q} --scenarios {params.scenarios:q}"
        " --processes {threads} >{log:q}"


rule summarize_trials:
    input:
        trials=table("trials"),
        digests=table_digests("trials"),
        sources=[*TABLE_SOURCES, "workflow/carveout/summary.py"],
    output:
        summary="<results>/tables/summary.parquet",
        comparison="<results>/tables/comparison.parquet",
        failures="<results>/tables/failures.parquet",
        comparison_csv=report(
            "<results>/tables/comparison.csv",
            caption="../report/comparison.rst",
            category="Tables",
            labels={"table": "comparison of strategies"},
        ),
        summary_csv=report(
            "<results>/tables/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "summary of cells"},
        ),
        failures_csv=report(
            "<results>/tables/failures.csv",
            caption="../report/failures.rst",
            category="Tables",
            labels={"table": "failures"},
        ),
    log:
        "<logs>/tables/summarize_trials.log",
    conda:
        CONDA_ENVIRONMENT
    shell:
        "python -m carveout.summary {input.trials:q} --summary {output.summary:q}"
        " --comparison {output.comparison:q} --failures {output.failures:q} >{log:q}"
