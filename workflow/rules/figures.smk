# SPDX-License-Identifier: GPL-2.0-only
# Figures: one rule per figure. Each reads one table; titles and order come from the strategies' folders.

DESCRIPTIONS = [f"{folder}/strategy.yaml" for folder in STRATEGY_FOLDERS.values()]
FIGURES = ["frontier", "memmap_overhead", "accounts", "success", "cost"]
if not all(cell.lends for cell in MATRIX.cells):
    FIGURES.append("memmap_by_ram")
if "pageblock_map" in config["figures"]:
    FIGURES.append("pageblock_map")


rule draw_frontier:
    input:
        table="<results>/tables/summary.parquet",
        descriptions=DESCRIPTIONS,
    output:
        svg=report(
            "<results>/figures/frontier.svg",
            caption="../report/frontier.rst",
            category="Figures",
            labels={"figure": "the frontier: what is lent under which load"},
        ),
        png="<results>/figures/frontier.png",
    log:
        "<logs>/figures/draw_frontier.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.figures.draw", "carveout.figures.frontier"),
    shell:
        "python -m carveout.figures.draw frontier {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_memmap_overhead:
    input:
        table="<results>/tables/variants.parquet",
        descriptions=DESCRIPTIONS,
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
    params:
        code=code_digest("carveout.figures.draw", "carveout.figures.memmap_overhead"),
    shell:
        "python -m carveout.figures.draw memmap_overhead {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_memmap_by_ram:
    input:
        table=table("phases"),
        digests=table_digests("phases"),
        descriptions=DESCRIPTIONS,
    output:
        svg=report(
            "<results>/figures/memmap_by_ram.svg",
            caption="../report/memmap_by_ram.rst",
            category="Figures",
            labels={"figure": "memmap against RAM and page size"},
        ),
        png="<results>/figures/memmap_by_ram.png",
    log:
        "<logs>/figures/draw_memmap_by_ram.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.figures.draw", "carveout.figures.memmap_by_ram"),
    shell:
        "python -m carveout.figures.draw memmap_by_ram {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_accounts:
    input:
        table=table("phases"),
        digests=table_digests("phases"),
        descriptions=DESCRIPTIONS,
    output:
        svg=report(
            "<results>/figures/accounts.svg",
            caption="../report/accounts.rst",
            category="Figures",
            labels={"figure": "the books: where the RAM stands"},
        ),
        png="<results>/figures/accounts.png",
    log:
        "<logs>/figures/draw_accounts.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.figures.draw", "carveout.figures.accounts"),
    shell:
        "python -m carveout.figures.draw accounts {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_success:
    input:
        table="<results>/tables/summary.parquet",
        descriptions=DESCRIPTIONS,
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
    params:
        code=code_digest("carveout.figures.draw", "carveout.figures.success"),
    shell:
        "python -m carveout.figures.draw success {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_cost:
    input:
        table=table("trials"),
        digests=table_digests("trials"),
        descriptions=DESCRIPTIONS,
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
    params:
        code=code_digest("carveout.figures.draw", "carveout.figures.cost"),
    shell:
        "python -m carveout.figures.draw cost {input.table:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule draw_pageblock_map:
    input:
        table=table("phases"),
        digests=table_digests("phases"),
        descriptions=DESCRIPTIONS,
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
        code=code_digest("carveout.figures.draw", "carveout.figures.pageblock_map"),
        # The same trial on several hosts: that of the config's first kernel.
        trial=[f"kernel={MATRIX.kernels[0]}"]
        + [
            f"{'dose_target' if key == 'dose' else key}={value}"
            for key, value in config["figures"].get("pageblock_map", {}).items()
        ],
    shell:
        "python -m carveout.figures.draw pageblock_map {input.table:q} --where {params.trial:q}"
        " --descriptions {input.descriptions:q}"
        " --svg {output.svg:q} --png {output.png:q} >{log:q}"


rule figures:
    input:
        expand("<results>/figures/{figure}.{kind}", figure=FIGURES, kind=["svg", "png"]),
