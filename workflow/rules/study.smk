# SPDX-License-Identifier: GPL-2.0-only
# The study: the checked config, the matrix of cells, and what all rules share.

import shutil
import tempfile

import psutil

from carveout.common.sizes import MIB
from carveout.study.cell import CELL_PATH
from carveout.study.matrix import read_matrix

if not snakemake_internals.config_files(workflow):

    configfile: "config/config.yaml"


snakemake_internals.read_numbers(workflow, config)
# Folders whose results are merged: no part of the study.
MERGED_FROM = config.pop("from", None)
IS_MERGE = MERGED_FROM is not None
CONFIG_FILES = snakemake_internals.config_files(workflow) or ["config/config.yaml"]
try:
    MATRIX = read_matrix(config, ", ".join(CONFIG_FILES), Path("workflow"))
except CarveoutError as error:
    sys.exit(f"carveout: {error}")

CELLS = {str(cell.path): cell for cell in MATRIX.cells}
STRATEGY_FOLDERS = {
    name: str(plugin.folder) for name, plugin in MATRIX.strategies.items()
}
LOAD_FOLDERS = {name: str(plugin.folder) for name, plugin in MATRIX.loads.items()}
LOADS_WITH_PACKAGES = [
    name for name, plugin in MATRIX.loads.items() if "packages" in plugin.content
]


wildcard_constraints:
    kernel="[^/]+",
    ram="[1-9][0-9]*(KiB|MiB|GiB)",
    strategy="[^/.]+",
    variant="[^/.]+",
    load="[^/.]+",
    requests="[^/.]+",
    granule="[^/.]+",


pathvars:
    results=config["results"],
    logs="<results>/logs",


@entry_point
def begin_run():
    """Keep other runs out of the results folder, and start the progress."""
    hold_results(Path(config["results"]))
    if not IS_MERGE:
        begin_progress()


def cell_of(wildcards):
    """Return the cell that a boot job makes."""
    return CELLS[CELL_PATH.format(**wildcards)]


def cell_files(kind):
    """Return the outputs of all cells: `trials` or `runs`."""
    return [f"<results>/{kind}/{path}.jsonl" for path in CELLS]


# In what the folders that are merged have to agree, beside the packages of their locks.
FACTS = [
    "qemu.json",
    *expand("kernels/{kernel}/kernel.json", kernel=MATRIX.kernels),
    *expand("guest/{kernel}/base.sha256", kernel=MATRIX.kernels),
]


def gathered():
    """Return what a merge makes before the outputs of cells."""
    return expand("<results>/{name}", name=["lock.yaml", "merged.yaml", *FACTS])


def made_before_tables():
    """Return every file that is made before the tables.

    Snakemake is content without what failed as long as all that is made of it is there: unless it
    is asked for by name.
    """
    if IS_MERGE:
        return [*gathered(), *(cell_files("trials") + cell_files("runs"))]
    guest = "<results>/guest"
    parts = [
        "base",
        *(f"strategies/{name}" for name in STRATEGY_FOLDERS),
        *(f"loads/{name}" for name in LOAD_FOLDERS),
    ]
    return [
        *("<results>/lock.yaml", "<results>/lock.sha256", "<results>/qemu.json"),
        f"{guest}/busybox.json",
        *expand(f"{guest}/loads/{{load}}.json", load=LOADS_WITH_PACKAGES),
        *expand("<results>/kernels/{kernel}/kernel.json", kernel=MATRIX.kernels),
        *expand(
            f"{guest}/{{kernel}}/{{part}}.{{kind}}",
            kernel=MATRIX.kernels,
            part=parts,
            kind=["cpio", "sha256"],
        ),
        *(cell_files("trials") + cell_files("runs")),
    ]


def products_of_paths():
    """Return the cells' paths as arguments: of each part of the config the factors of a product."""
    factors = {
        "--machines": "machine",
        "--variants": "strategy_variant",
        "--scenarios": "scenario",
    }
    return [
        word
        for cells in MATRIX.parts
        for option, factor in factors.items()
        for word in (
            option,
            *dict.fromkeys(getattr(cell.path, factor) for cell in cells),
        )
    ]


def folder_sources(folder):
    """Return a plug-in's files that go into the guest: what it is made of, not how it is run."""
    return sorted(
        path
        for pattern in ("*.yaml", "guest.sh", "*.c", "*.h")
        for path in glob.glob(f"{folder}/{pattern}")
    )


snakemake_internals.bound_local_resources(
    workflow,
    {
        "mem_mb": psutil.virtual_memory().available // MIB,
        "disk_mb": shutil.disk_usage(tempfile.gettempdir()).free // MIB,
    },
)
