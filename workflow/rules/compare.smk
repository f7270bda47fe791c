# SPDX-License-Identifier: GPL-2.0-only
# Two runs compared: `snakemake compare --config before=DIR after=DIR`. Nothing is booted and no config
# of a run is read: what changed is told from the tables of both alone.

COMPARED = {"before", "after"}
COMPARE_KEYS = COMPARED | {"to", "partners"}
# The keys say it, because targets are not known yet where rules are read.
IS_COMPARISON = bool(COMPARED & config.keys())

if IS_COMPARISON:
    from carveout.common.schemas import matches
    from carveout.compare.sides import check_differ, tables_folder
    from carveout.compare.write import OUTPUTS, STATUS, TEXT

    if missing := COMPARED - config.keys():
        sys.exit(
            f"carveout: --config: wanted both before=DIR and after=DIR, found no {missing.pop()}"
        )
    if unknown := sorted(config.keys() - COMPARE_KEYS):
        sys.exit(
            f"carveout: --config: unknown key {', '.join(unknown)} of a comparison; known are "
            f"{', '.join(sorted(COMPARE_KEYS))}"
        )
    SIDES = {name: Path(str(config[name])) for name in ("before", "after")}
    COMPARE_TO = str(config.get("to", "results/compare"))
    for key, folder in {**SIDES, "to": COMPARE_TO}.items():
        if problem := matches(str(folder), "config", "path"):
            sys.exit(f"carveout: {key}: wanted the path of a folder, found: {problem}")
    try:
        check_differ(*SIDES.values())
        SIDE_TABLES = {
            name: tables_folder(name, folder) for name, folder in SIDES.items()
        }
    except CarveoutError as error:
        sys.exit(f"carveout: {error}")

    rule write_comparison:
        input:
            [
                str(path)
                for folder in SIDE_TABLES.values()
                for name in ("trials", "phases", "runs")
                if (path := folder / f"{name}.parquet").is_file()
            ],
            descriptions=sorted(glob.glob("workflow/strategies/*/strategy.yaml")),
        output:
            outputs=expand("{to}/{name}", to=COMPARE_TO, name=OUTPUTS),
        log:
            f"{COMPARE_TO}/write_comparison.log",
        conda:
            CONDA_ENVIRONMENT
        params:
            code=code_digest("carveout.compare.write"),
            sides=list(map(str, SIDES.values())),
            to=subpath(output[0], parent=True),
            partners=(
                str(config.get("partners", "")).split(",")
                if "partners" in config
                else []
            ),
        shell:
            "python -m carveout.compare.write {params.sides:q} --to {params.to:q} --only-write"
            " --partners {params.partners:q} --descriptions {input.descriptions:q} >{log:q}"

    # It has no output, so that it runs each time: the exit status is that of each call.
    rule compare:
        default_target: True
        input:
            text=f"{COMPARE_TO}/{TEXT}",
            others=rules.write_comparison.output,
        log:
            f"{COMPARE_TO}/compare.log",
        conda:
            CONDA_ENVIRONMENT
        shell:
            "cat {input.text:q} 2>{log:q}"

    onsuccess:
        status, _, verdict = (Path(COMPARE_TO) / STATUS).read_text().partition(" ")
        print(
            f"carveout: {verdict.strip()}; the figure is {COMPARE_TO}/changes.svg",
            file=sys.stderr,
        )
        if int(status):
            sys.exit(int(status))

else:

    rule compare:
        input:
            lambda wildcards: sys.exit(
                "carveout: compare: wanted --config before=DIR after=DIR, found neither"
            ),
