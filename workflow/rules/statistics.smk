# SPDX-License-Identifier: GPL-2.0-only
# Statistics of the trials: of cells, of strategy variants, of what failed, and of whole curves;
# and of what another kernel changes.


rule summarize_trials:
    input:
        trials=table("trials"),
        digests=table_digests("trials"),
    output:
        summary="<results>/tables/summary.parquet",
        comparison="<results>/tables/comparison.parquet",
        failures="<results>/tables/failures.parquet",
        turning_points="<results>/tables/turning_points.parquet",
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
        turning_points_csv=report(
            "<results>/tables/turning_points.csv",
            caption="../report/turning_points.rst",
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
        " --comparison {output.comparison:q} --failures {output.failures:q}"
        " --turning-points {output.turning_points:q} >{log:q}"


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
