# SPDX-License-Identifier: GPL-2.0-only
# Statistics of the trials: of cells, of strategy variants, of what failed, of what was in the way, of
# whole curves and of kernels; how strategies differ, and what another kernel changes.


rule summarize_trials:
    input:
        trials=table("trials"),
        digests=table_digests("trials"),
    output:
        summary="<results>/tables/summary.parquet",
        variants="<results>/tables/variants.parquet",
        failures="<results>/tables/failures.parquet",
        blockers="<results>/tables/blockers.parquet",
        curves="<results>/tables/curves.parquet",
        kernels="<results>/tables/kernels.parquet",
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
        blockers_csv=report(
            "<results>/tables/blockers.csv",
            caption="../report/blockers.rst",
            category="Tables",
            labels={"table": "what was in the way"},
        ),
        kernels_csv=report(
            "<results>/tables/kernels.csv",
            caption="../report/kernels.rst",
            category="Tables",
            labels={"table": "kernels side by side"},
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
        " --blockers {output.blockers:q} --curves {output.curves:q}"
        " --kernels {output.kernels:q} >{log:q}"


rule compare_variants:
    input:
        trials=table("trials"),
        digests=table_digests("trials"),
    output:
        comparisons="<results>/tables/comparisons.parquet",
        comparisons_csv=report(
            "<results>/tables/comparisons.csv",
            caption="../report/comparisons.rst",
            category="Tables",
            labels={"table": "how strategies differ"},
        ),
    log:
        "<logs>/tables/compare_variants.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.statistics.compare"),
        references=MATRIX.references,
    shell:
        "python -m carveout.statistics.compare {input.trials:q} --references {params.references:q}"
        " --comparisons {output.comparisons:q} >{log:q}"


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
