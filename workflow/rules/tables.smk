# SPDX-License-Identifier: GPL-2.0-only
# Tables: rows of all trials. All that follows is made from the tables alone.


include: "redraw.smk"


rule collect_trials:
    input:
        trials=cell_files("trials"),
        runs=cell_files("runs"),
        kernels=expand("<results>/kernels/{kernel}/kernel.json", kernel=MATRIX.kernels),
        lock="<results>/lock.yaml",
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
        code=code_digest("carveout.collection.collect"),
        results=subpath(output[0], ancestor=2),
        cells=products_of_paths(),
    shell:
        "python -m carveout.collection.collect --results {params.results:q} {params.cells:q}"
        " --processes {threads} >{log:q}"
