# SPDX-License-Identifier: GPL-2.0-only
# What every rule stands on, whatever is made: the package, and the environment of its programs.

import glob
import sys
from pathlib import Path

PACKAGE_PARENT = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(PACKAGE_PARENT))

from carveout.common.errors import CarveoutError, entry_point
from carveout.common.jobs import hold_results, prepare_environment
from carveout.study import snakemake_internals
from carveout.study.sources import code_digest

prepare_environment(PACKAGE_PARENT)

# Absolute, because a strategy's rule inherits it into another folder.
CONDA_ENVIRONMENT = f"{workflow.basedir}/envs/environment.yaml"

# A job ends with its Snakemake, however that ends: another run may begin at once.
shell.prefix("exec setpriv --pdeathsig TERM -- ")
