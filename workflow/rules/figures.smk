# SPDX-License-Identifier: GPL-2.0-only
# Figures: a rule for each of the catalogue. What varies from one to the next is in there.

import json

from carveout.drawing.catalogue import CATALOGUE, drawn, module_of

DESCRIPTIONS = [f"{folder}/strategy.yaml" for folder in STRATEGY_FOLDERS.values()]
FIGURES = drawn(MATRIX.cells, config["figures"])
# Of what others measured, what is marked beside what was measured here.
PUBLISHED = "workflow/claims/published.yaml"
# Of which rows of its tables a figure is drawn, if not of all.
ROWS = {
    # The same trial on several hosts: that of the config's first kernel.
    "pageblock_map": [f"kernel={MATRIX.kernels[0]}"]
    + [
        f"{'dose_target' if key == 'dose' else key}={value}"
        for key, value in config["figures"].get("pageblock_map", {}).items()
    ],
}


for figure, entry in CATALOGUE.items():

    rule:
        name:
            f"draw_{figure}"
        input:
            tables=table(*entry.tables),
            digests=table_digests(*entry.tables),
            descriptions=DESCRIPTIONS,
            published=PUBLISHED if entry.marks else [],
        output:
            svg=report(
                f"<results>/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category=entry.category,
                labels={"figure": entry.title},
            ),
            png=f"<results>/figures/{figure}.png",
        log:
            f"<logs>/figures/draw_{figure}.log",
        conda:
            CONDA_ENVIRONMENT
        params:
            code=code_digest("carveout.drawing.draw", module_of(figure)),
            name=figure,
            rows=ROWS.get(figure, []),
            only=json.dumps(config["figures"].get("only", {}), sort_keys=True),
            width=config["figures"]["width"],
            published=["--published", PUBLISHED] if entry.marks else [],
        shell:
            "python -m carveout.drawing.draw {params.name} {input.tables:q} --where {params.rows:q}"
            " --only {params.only:q} --width {params.width} {params.published:q}"
            " --descriptions {input.descriptions:q}"
            " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule figures:
    input:
        expand("<results>/figures/{figure}.{kind}", figure=FIGURES, kind=["svg", "png"]),
