# SPDX-License-Identifier: GPL-2.0-only
"""What every job of the workflow finds in its environment."""

import os
import sys
from pathlib import Path


def prepare_environment(package_parent: Path) -> None:
    """Let jobs run the Python that runs Snakemake, activated or not, and find this package."""
    python_folder = Path(sys.executable).parent
    os.environ["PATH"] = f"{python_folder}:{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(package_parent)
