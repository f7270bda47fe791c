# SPDX-License-Identifier: GPL-2.0-only
# Figures: a job for those of each room, since to start a program takes as long as to draw one; or, when
# figures are asked for by the names of their files, a job for each figure. What a figure is, is in the
# catalogue.

import json

from carveout.drawing.catalogue import CATALOGUE, by_room, drawn, module_of

DESCRIPTIONS = [f"{folder}/strategy.yaml" for folder in STRATEGY_FOLDERS.values()]
# Of what others measured, what is marked beside what was measured here.
PUBLISHED = "workflow/claims/published.yaml"
FIGURES = drawn(MATRIX.cells, config["figures"])
# The same trial on several hosts: that of the config's first kernel.
TRIAL = [f"kernel={MATRIX.kernels[0]}"] + [
    f"{'dose_target' if key == 'dose' else key}={value}"
    for key, value in config["figures"].get("pageblock_map", {}).items()
]


# By what follows `draw_` in the rule's name.
JOBS = {name: [name] for name in CATALOGUE} if is_drawn_alone() else by_room(FIGURES)


for job, names in JOBS.items():
    entries = [CATALOGUE[name] for name in names]
    tables_drawn = list(
        dict.fromkeys(table_name for entry in entries for table_name in entry.tables)
    )

    rule:
        name:
            f"draw_{job}"
        input:
            tables=table(*tables_drawn),
            digests=table_digests(*tables_drawn),
            descriptions=DESCRIPTIONS,
            published=PUBLISHED,
        output:
            svgs=[
                report(
                    f"<results>/figures/{name}.svg",
                    caption=f"../report/{name}.rst",
                    category=entry.category,
                    labels={"figure": entry.title},
                )
                for name, entry in zip(names, entries)
            ],
            pngs=[f"<results>/figures/{name}.png" for name in names],
        log:
            f"<logs>/figures/draw_{job}.log",
        conda:
            CONDA_ENVIRONMENT
        params:
            code=code_digest("carveout.drawing.draw", *map(module_of, names)),
            names=names,
            trial=TRIAL,
            only=json.dumps(config["figures"].get("only", {}), sort_keys=True),
            width=config["figures"]["width"],
            folder=subpath(output[0], parent=True),
        shell:
            "python -m carveout.drawing.draw {params.names} --tables {input.tables:q}"
            " --trial {params.trial:q} --only {params.only:q} --width {params.width}"
            " --published {input.published:q} --descriptions {input.descriptions:q}"
            " --folder {params.folder:q} >{log:q}"


rule figures:
    input:
        expand("<results>/figures/{figure}.{kind}", figure=FIGURES, kind=["svg", "png"]),
