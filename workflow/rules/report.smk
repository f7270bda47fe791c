# SPDX-License-Identifier: GPL-2.0-only
# The report: one self-contained page, and the summary as plain text, for a mail.

import glob
import os

# The page is made of parts; a change of one makes it anew.
REPORT_PARTS = sorted(glob.glob("workflow/report/*.jinja"))
NEEDS = sorted(glob.glob("workflow/needs/*.yaml"))


rule write_report:
    input:
        trials=table("trials"),
        runs=table("runs"),
        digests=table_digests("trials", "runs"),
        statistics=table(
            *("variants", "summary", "failures", "curves", "changes", "comparisons"),
            *("blockers", "kernels", "claims", "needs"),
        ),
        figures=expand("<results>/figures/{figure}.svg", figure=FIGURES),
        captions=expand("workflow/report/{figure}.rst", figure=FIGURES),
        template="workflow/report/report.html.jinja",
        parts=REPORT_PARTS,
        needs=NEEDS,
        descriptions=DESCRIPTIONS,
    output:
        page=report(
            "<results>/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "the whole report"},
        ),
        text="<results>/summary.txt",
    log:
        "<logs>/report/write_report.log",
    conda:
        CONDA_ENVIRONMENT
    params:
        code=code_digest("carveout.report.write"),
        tables=subpath(input.trials, parent=True),
        configs=[os.path.relpath(path) for path in CONFIG_FILES],
    shell:
        "python -m carveout.report.write write --tables {params.tables:q}"
        " --figures {input.figures:q} --captions {input.captions:q} --template {input.template:q}"
        " --descriptions {input.descriptions:q} --needs {input.needs:q} --configs {params.configs:q}"
        " --page {output.page:q} --text {output.text:q} >{log:q}"


rule report:
    input:
        rules.write_report.output,
