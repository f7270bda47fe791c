# SPDX-License-Identifier: GPL-2.0-only
# Figures: one rule a figure. Each reads one table; titles and order come from the strategies' folders.

DESCRIPTIONS = [f"{folder}/strategy.yaml" for folder in STRATEGY_FOLDERS.values()]
FIGURE_SOURCES = [
    *TABLE_SOURCES,
    *(
        f"workflow/carveout/{name}.py"
        for name in ("labels", "schemas", "figures/__main__", "figures/style")
    ),
]
FIGURES = ["memmap_overhead", "success", "cost"]
if "pageblock_map" in config["figures"]:
    FIGURES.append("pageblock_map")


rule draw_memmap_overhead:
    input:
        table="<results>/tables/comparison.parquet",
        descriptions=DESCRIPTIONS,
        sources=[*FIGURE_SOURCES, "workflow/carveout/figures/memmap_overhead.py"],
    output:
        svg=report(
            "<results>/figures/memmap_overhead.svg",
            caption="../report/memmap_overhead.rst",
            category="Figures",
            labels={"figure": "memmap and memory set aside"},
        ),
        png="<results>/figures/memmap_overhead.png",
    log:
        "<logs>/figures/draw_memmap_overhead.log",
    conda:
        CONDA_ENVIRONMENT
    shell:
        "python -m carveout.figures memmap_overhead {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_success:
    input:
        table="<results>/tables/summary.parquet",
        descriptions=DESCRIPTIONS,
        sources=[*FIGURE_SOURCES, "workflow/carveout/figures/success.py"],
    output:
        svg=report(
            "<results>/figures/success.svg",
            caption="../report/success.rst",
            category="Figures",
            labels={"figure": "success under each load"},
        ),
        png="<results>/figures/success.png",
    log:
        "<logs>/figures/draw_success.log",
    conda:
        CONDA_ENVIRONMENT
    shell:
        "python -m carveout.figures success {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_cost:
    input:
        table=table("trials"),
        digests=table_digests("trials"),
        descriptions=DESCRIPTIONS,
        sources=[*FIGURE_SOURCES, "workflow/carveout/figures/cost.py"],
    output:
        svg=report(
            "<results>/figures/cost.svg",
            caption="../report/cost.rst",
            category="Figures",
            labels={"figure": "cost of lending and giving back"},
        ),
        png="<results>/figures/cost.png",
    log:
        "<logs>/figures/draw_cost.log",
    conda:
        CONDA_ENVIRONMENT
    shell:
        "python -m carveout.figures cost {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_pageblock_map:
    input:
        table=table("phases"),
        digests=table_digests("phases"),
        descriptions=DESCRIPTIONS,
        sources=[*FIGURE_SOURCES, "workflow/carveout/figures/pageblock_map.py"],
    output:
        svg=report(
            "<results>/figures/pageblock_map.svg",
            caption="../report/pageblock_map.rst",
            category="Figures",
            labels={"figure": "pageblocks of one trial"},
        ),
        png="<results>/figures/pageblock_map.png",
    log:
        "<logs>/figures/draw_pageblock_map.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        trial=[
            f"{key}={value}"
            for key, value in config["figures"].get("pageblock_map", {}).items()
        ],
    shell:
        "python -m carveout.figures pageblock_map {input.table:q} --where {params.trial:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule figures:
    input:
        expand("<results>/figures/{figure}.{kind}", figure=FIGURES, kind=["svg", "png"]),
