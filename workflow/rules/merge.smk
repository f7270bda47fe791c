# SPDX-License-Identifier: GPL-2.0-only
# Results of a study's parts merged: `snakemake merge --configfile WHOLE --config from="DIR1 DIR2"
# results=DIR`. Nothing is booted or built: what boots make is taken from the folders, and all that
# follows is made of it by the same rules.

import json

if IS_MERGE:

    # Here: they import what takes a second, which no other run needs.
    from carveout.merge.gather import CONTRADICTION, CONTRADICTIONS
    from carveout.merge.parts import check_target, read_parts

    try:
        PARTS = read_parts(MERGED_FROM)
        if workflow.is_main_process:
            check_target(Path(config["results"]), PARTS)
    except CarveoutError as error:
        sys.exit(f"carveout: {error}")

    rule gather_parts:
        input:
            parts=[str(path) for part in PARTS for path in part.files()],
            record_schema="workflow/schemas/record.schema.yaml",
        output:
            gathered(),
        log:
            "<logs>/merge/gather_parts.log",
        conda:
            CONDA_ENVIRONMENT
        params:
            code=code_digest("carveout.merge.gather"),
            code_of_trials=code_digest("carveout.boots.cell_run"),
            parts=list(map(str, PARTS)),
            results=config["results"],
            facts=FACTS,
        shell:
            "python -m carveout.merge.gather {params.parts:q} --results {params.results:q}"
            " --facts {params.facts:q} --code {params.code_of_trials}"
            " --record-schema {input.record_schema:q} >{log:q}"

    rule settle_cells:
        input:
            gathered(),
        output:
            cell_files("trials"),
            cell_files("runs"),
        log:
            "<logs>/merge/settle_cells.log",
        conda:
            CONDA_ENVIRONMENT
        params:
            code=code_digest("carveout.merge.settle"),
            config=json.dumps(config, sort_keys=True),
            config_files=CONFIG_FILES,
            results=config["results"],
        shell:
            "python -m carveout.merge.settle --config {params.config:q}"
            " --config-files {params.config_files:q} --results {params.results:q} >{log:q}"

    rule merge:
        default_target: True
        input:
            rules.all.input,

    onerror:
        if (Path(config["results"]) / CONTRADICTIONS).is_file():
            sys.exit(CONTRADICTION)

else:

    rule merge:
        input:
            lambda wildcards: sys.exit(
                "carveout: merge: wanted --config from='DIR1 DIR2' results=DIR, found no from"
            ),
