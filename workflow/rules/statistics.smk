# SPDX-License-Identifier: GPL-2.0-only
# Statistics of the trials: of cells, of strategy variants, of what failed, and of whole curves;
# and of what another kernel changes.


rule summarize_trials:
    input:
        trials=table("trials"),
        digests=table_digests("trials"),
    output:
        summary="<results>/tables/summary.parquet",
        variants="<results>/tables/variants.parquet",
        failures="<results>/tables/failures.parquet",
        curves="<results>/tables/curves.parquet",
        variants_csv=report(
            "<results>/tables/variants.csv",
            caption="../report/variants.rst",
            category="Tables",
            labels={"table": "comparison of strategies"},
        ),
        summary_csv=report(
            "<results>/tables/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "summary of cells"},
        ),
        curves_csv=report(
            "<results>/tables/curves.csv",
            caption="../report/curves.rst",
            category="Tables",
            labels={"table": "turning points"},
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
    params:
        code=code_digest("carveout.statistics.summarize"),
    shell:
        "python -m carveout.statistics.summarize {input.trials:q} --summary {output.summary:q}"
        " --variants {output.variants:q} --failures {output.failures:q}"
        " --curves {output.curves:q} >{log:q}"


rule pair_trials:
    input:
        trials=table("trials"),
        digests=table_digests("trials"),
    output:
        changes="<results>/tables/changes.parquet",
        changes_csv="<results>/tables/changes.csv",
    log:
        "<logs>/tables/pair_trials.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.statistics.pair"),
        pairs=["/".join(pair) for pair in MATRIX.kernel_pairs],
    shell:
        "python -m carveout.statistics.pair {input.trials:q} --pairs {params.pairs:q}"
        " --changes {output.changes:q} >{log:q}"
