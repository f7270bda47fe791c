# SPDX-License-Identifier: GPL-2.0-only
"""Rules know their code: an edit changes the digests of what runs it, and of nothing else."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from carveout.study import sources
from carveout.study.sources import PACKAGE_PARENT, code_digest, meaning_of, modules_of

CARVEOUT = PACKAGE_PARENT / "carveout"

# Computes every digest, then edits one module after another and computes them anew.
EDIT_EACH = """
import json, sys
from carveout.study.sources import PACKAGE_PARENT, code_digest
entries = json.loads(sys.argv[1])
digests = lambda: {entry: code_digest(*entry.split()) for entry in entries}
before, changed = digests(), {}
for path in sorted((PACKAGE_PARENT / "carveout").rglob("*.py")):
    text = path.read_text()
    path.write_text(text + "\\nEDITED = True\\n")
    after = digests()
    changed[str(path)] = [entry for entry in entries if after[entry] != before[entry]]
    path.write_text(text)
print(json.dumps(changed))
"""


def entries_of_the_rules() -> list[str]:
    """What the rules take the digest of: the modules of each call of `code_digest`."""
    text = "".join(path.read_text() for path in Path("workflow/rules").glob("*.smk"))
    calls = re.findall(r"code_digest\(([^)]*)\)", text)
    return sorted({" ".join(re.findall(r'"([\w.]+)"', call)) for call in calls})


# Imports what each process imports in a fork of one that has what is not ours already.
LOAD_EACH = """
import importlib, json, os, sys
import pandas, pyarrow.parquet, scipy.stats, seaborn
for entry, names in json.loads(sys.argv[1]).items():
    if not os.fork():
        for name in names:
            importlib.import_module(name)
        files = [m.__file__ for n, m in sys.modules.items() if n.startswith("carveout.")]
        print(json.dumps([entry, files]), flush=True)
        os._exit(0)
    if os.wait()[1]:
        sys.exit(f"{entry} cannot be imported")
"""


def loaded_by(entries: Sequence[str]) -> dict[str, set[str]]:
    """The files that Python itself loads for each entry, and for what it imports when it is run."""
    names = {entry: [*entry.split(), *sorted(lazily_imported(entry))] for entry in entries}
    command = [sys.executable, "-c", LOAD_EACH, json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {entry: set(files) for entry, files in map(json.loads, done.stdout.splitlines())}


def lazily_imported(entry: str) -> set[str]:
    """The modules that functions of an entry import, or of what it imports."""
    return {
        word
        for module in modules_of(*entry.split())
        for node in ast.walk(ast.parse(file_of(module).read_text()))
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("carveout")
        for word in [inner.module or ""]
    }


def file_of(module: str) -> Path:
    path = PACKAGE_PARENT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def changed_by(tmp_path: Path) -> dict[str, list[str]]:
    """For each module of a copy, the entries whose digest a line more in it changes."""
    shutil.copytree(CARVEOUT, tmp_path / "carveout", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", EDIT_EACH, json.dumps(entries_of_the_rules())]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    changed: dict[str, list[str]] = json.loads(done.stdout)
    return changed


def test_a_line_changed_in_each_module_changes_what_loads_it_and_nothing_else(
    tmp_path: Path,
) -> None:
    entries = entries_of_the_rules()
    assert len(entries) >= 10
    loaded = loaded_by(entries)
    assert loaded.keys() == set(entries)
    for name, changed in changed_by(tmp_path).items():
        path = str(CARVEOUT / Path(name).relative_to(tmp_path / "carveout"))
        if Path(path) == CARVEOUT / "__init__.py":
            continue
        assert changed == [entry for entry in entries if path in loaded[entry]], path


def test_wording_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [code_digest(*entry.split()) for entry in entries_of_the_rules()]
    shutil.copytree(CARVEOUT, tmp_path / "carveout", ignore=shutil.ignore_patterns("__pycache__"))
    for path in tmp_path.rglob("*.py"):
        path.write_text(path.read_text() + '\n"""Another word."""\n# And a comment.\n')
    monkeypatch.setattr(sources, "PACKAGE_PARENT", tmp_path)
    assert [code_digest(*entry.split()) for entry in entries_of_the_rules()] == before


@pytest.mark.parametrize("name", ["journal", "progress", "run"])
def test_what_only_keeps_and_tells_of_trials_decides_nothing_about_them(name: str) -> None:
    assert file_of(f"carveout.boots.{name}").exists()
    assert f"carveout.boots.{name}" not in modules_of("carveout.boots.cell_run")


def test_what_decides_about_trials_is_known() -> None:
    found = set(modules_of("carveout.boots.cell_run"))
    wanted = {"boots.trial", "boots.replication", "guests.engines", "records.outcomes"}
    assert {f"carveout.{name}" for name in wanted} <= found
    assert not any(name.startswith(("carveout.tables", "carveout.drawing")) for name in found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1  # one\n", "x = 1\n"),
        ('def f():\n    """One."""\n    return 1\n', 'def f():\n    """Two, é."""\n    return 1\n'),
        ("raise ValueError('one')\n", "raise ValueError('two')\n"),
        ("raise ValueError(f'one {x}')\n", "raise ValueError(f'two {x} and')\n"),
        ("x = 1\n# one\n\ny = 2\n", "x = 1\ny = 2\n"),
        ("x = 'é'  # é\ny = 2\n", "x = 'é'\n\ny = 2\n"),
    ],
)
def test_what_means_the_same(one: str, other: str) -> None:
    assert meaning_of(one) == meaning_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1\n", "x = 2\n"),
        ("raise ValueError('one')\n", "raise TypeError('one')\n"),
        ("x = 'one'\n", "x = 'two'\n"),
        ("raise ValueError(f(x))\n", "raise ValueError(g(x))\n"),
        ("raise ValueError(f'{f(x)}')\n", "raise ValueError(f'{g(x)}')\n"),
        ('x = """one\n\ntwo"""\n', 'x = """one\ntwo"""\n'),
        ("if x:\n    y()\nz()\n", "if x:\n    y()\n    z()\n"),
    ],
)
def test_what_does_not(one: str, other: str) -> None:
    assert meaning_of(one) != meaning_of(other)


def test_every_rule_takes_the_digest_of_the_module_that_it_runs() -> None:
    for path in Path("workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            run = re.findall(r"python -m ([\w.]+)", rule)
            taken = re.findall(r'"([\w.]+)"', "".join(re.findall(r"code_digest\(([^)]*)\)", rule)))
            name = rule.partition(":")[0]
            if run == ["carveout.boots.run"]:
                # What keeps results and tells of them is left out: see its module.
                assert taken == ["carveout.boots.cell_run"], name
                assert "from carveout.boots.cell_run import" in sources._path(run[0]).read_text()
            else:
                assert taken[:1] == run, name
