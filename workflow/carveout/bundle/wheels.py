# SPDX-License-Identifier: GPL-2.0-only
"""The Python packages of a bundle: as pip downloads them for the interpreter among its tools."""

from pathlib import Path

from carveout.common.cache import cached_folder
from carveout.common.files import job_folder, sha256_of, sha256_of_json
from carveout.common.processes import run_program

_BUILD = Path("envs/requirements-build.txt")
_REQUIREMENTS = Path("envs/requirements.txt")
_DOWNLOADING = 1  # goes up when the way of downloading changes


def wheel_files(tools: Path) -> dict[str, Path]:
    """Return the files of all Python packages that are pinned, below `bundle/wheels`.

    Args:
        tools: the folder in which the tools are unpacked.
    """
    made_of = [_DOWNLOADING, *map(sha256_of, (tools / "list", _BUILD, _REQUIREMENTS))]
    folder = cached_folder("wheels", sha256_of_json(made_of), lambda to: _download(tools, to))
    return {f"bundle/wheels/{path.name}": path for path in folder.iterdir()}


def _download(tools: Path, folder: Path) -> None:
    purpose = "download the Python packages"
    with job_folder() as environment:
        python = f"{environment}/bin/python"
        interpreter = str(tools / "usr/bin/python3")
        run_program([interpreter, "-m", "venv", "--without-pip", str(environment)], purpose)
        (pip,) = tools.glob("usr/share/python-wheels/pip-*.whl")
        run_program([python, f"{pip}/pip", "install", "--no-index", str(pip)], purpose)
        pinned = ["--no-deps", "--require-hashes", "--requirement"]
        module = [python, "-m", "pip", "--disable-pip-version-check"]
        # pip asks a package without a wheel what it is, for which it needs the pinned setuptools.
        run_program([*module, "install", *pinned, str(_BUILD)], purpose)
        for requirements in (_BUILD, _REQUIREMENTS):
            run_program(
                [
                    *module,
                    *("download", "--no-build-isolation", f"--dest={folder}"),
                    *(*pinned, str(requirements)),
                ],
                purpose,
            )
