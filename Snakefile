# SPDX-License-Identifier: GPL-2.0-only
# carveout: which way of setting memory aside for virtual machines costs least, and works?
#
# study -> machines -> initramfs -> boots -> tables -> statistics -> claims -> figures -> report


report: "workflow/report/workflow.rst"


include: "workflow/rules/package.smk"
include: "workflow/rules/compare.smk"


if not IS_COMPARISON:

    include: "workflow/rules/study.smk"

    if not IS_MERGE:

        include: "workflow/rules/machines.smk"
        include: "workflow/rules/initramfs.smk"
        include: "workflow/rules/boots.smk"
        include: "workflow/rules/bundle.smk"

        for strategy in MATRIX.strategies.values():

            include: strategy.folder.absolute() / "rules.smk"

    # A job of a queue boots a guest, and need not read what is made of its trials.
    if not snakemake_internals.is_a_queues_job(workflow):

        include: "workflow/rules/tables.smk"
        include: "workflow/rules/statistics.smk"
        include: "workflow/rules/claims.smk"
        include: "workflow/rules/figures.smk"
        include: "workflow/rules/report.smk"

        rule all:
            default_target: True
            input:
                made_before_tables(),
                rules.write_report.output,
                rules.compare_variants.output,
                rules.judge_claims.output,
                rules.figures.input,

        rule tables:
            input:
                made_before_tables(),
                rules.collect_trials.output,
                rules.summarize_trials.output,
                rules.compare_variants.output,
                rules.pair_trials.output,
                rules.judge_claims.output,

        include: "workflow/rules/merge.smk"

    # Only boots take long; all else wants the archive, or is done before a queue has seen it.
    snakemake_internals.run_here(workflow, but=["boot_", "run_part"])

    onstart:
        if status := begin_run():
            sys.exit(status)

    onsuccess:
        summary, page = (
            Path(config["results"]) / name
            for name in ("summary.txt", "report.html")
        )
        if page.is_file():
            print(summary.read_text(encoding="utf-8"))
            print(f"The report is {page}")
