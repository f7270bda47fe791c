# SPDX-License-Identifier: GPL-2.0-only
"""A user's mistake ends the command with one line, a status and nothing half-written."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from carveout.archive.relock import relock
from carveout.initramfs.build_module import _built_module
from carveout.kernels.kernel import unpacked_kernel
from tests.conftest import Checkout, copy_checkout, snakemake_command


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A copy of the checkout in which nothing was ever run."""
    return copy_checkout(tmp_path / "fresh")


@pytest.fixture
def relocked(fresh: Checkout) -> Checkout:
    """The copy with pins that the archive has, wherever those of the checkout have gone.

    Of one kernel: no other is run, and the archive may have dropped the series of another.
    """
    path = fresh.path / "config/kernels.yaml"
    content = yaml.safe_load(path.read_text())
    content["kernels"] = {"debian-6.12": content["kernels"]["debian-6.12"]}
    path.write_text("# Of one kernel\n" + yaml.safe_dump(content))
    for name in ("kernels", "qemus"):
        relock(fresh.path / f"config/{name}.yaml", name)
    return fresh


def write_config(checkout: Checkout, **changes: object) -> str:
    config = yaml.safe_load((checkout.path / "config/smoke.yaml").read_text())
    del config["figures"]
    (checkout.path / "job.yaml").write_text(yaml.safe_dump(config | {"seeds": 1} | changes))
    return "job.yaml"


def one_line(stderr: str) -> str:
    """The line that carveout says; there is one, and no traceback."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if line.startswith("carveout: ")]
    # Whatever the pins are today: what took the place of one is no error.
    messages = sorted(
        {line for line in lines if " trials, " not in line and "its place" not in line}
    )
    assert len(messages) == 1, stderr
    return messages[0]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"seedz": 3}, "job.yaml: key (top level): unknown key seedz"),
        ({"seeds": "three"}, "job.yaml: key seeds: 'three' is not of type 'integer'"),
        ({"strategies": {"telepathy": "all"}}, "unknown strategy telepathy"),
        ({"loads": {"telepathy": [1]}}, "unknown load telepathy"),
        ({"kernels": ["debian-0.1"]}, "unknown kernel debian-0.1"),
        ({"requests": {"odd": ["3MiB"]}}, "multiple of a pageblock of 2MiB"),
        ({"lendable": "8GiB"}, "key lendable: wanted less than the RAM"),
        ({"loads": {"unmovable_pages": [150]}}, "150 is greater than the maximum of 100"),
        ({"strategy_folders": ["nowhere"]}, "nowhere: wanted a folder of strategy folders"),
    ],
)
def test_a_config_that_cannot_be_run(
    fresh: Checkout, changes: dict[str, object], wanted: str
) -> None:
    done = fresh.snakemake("--configfile", write_config(fresh, **changes), fails=True)
    assert wanted in one_line(done.stderr)
    assert [path.name for path in (fresh.path / "results").iterdir()] == ["README.md"]


def test_numbers_within_a_key_of_the_command_line_are_numbers(fresh: Checkout) -> None:
    config = write_config(fresh)
    plan = ("--dry-run", "--quiet", "--configfile", config, "--config")
    fresh.snakemake(*plan, "limits={job_s: 20, guest_s: 150}", "loads={idle: [0]}")
    done = fresh.snakemake(*plan, "limits={job_s: soon}", fails=True)
    assert "job.yaml: key limits.job_s: 'soon' is not of type 'number'" in one_line(done.stderr)


def boot_one_cell(
    fresh: Checkout, *, environment: dict[str, str] | None = None, **changes: object
) -> str:
    """What a run of one cell says that is bound to fail."""
    config = write_config(
        fresh, strategies={"baseline": "all"}, loads={"idle": [0]}, results="out", **changes
    )
    done = subprocess.run(
        [
            # One after another: two jobs may meet the same trouble, and each says so.
            *snakemake_command("--configfile", config, cores=1),
        ],
        cwd=fresh.path,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert not list((fresh.path / "out").glob("trials/**/*.jsonl"))
    assert not (fresh.path / "out" / "tables").exists()
    return one_line(done.stderr)


def test_qemu_is_missing(fresh: Checkout) -> None:
    message = boot_one_cell(fresh, qemu="qemu-system-abacus")
    assert "wanted the program qemu-system-abacus, found none in PATH" in message
    assert "install" in message
    assert "or name one of config/qemus.yaml: debian-13" in message


def test_a_cache_that_cannot_be_read(fresh: Checkout, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "carveout").write_text("a file where a folder belongs")
    message = boot_one_cell(fresh, environment={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert str(tmp_path / "cache" / "carveout") in message


def test_a_pin_that_vanished_and_no_other_is_wanted(relocked: Checkout) -> None:
    path = relocked.path / "config/kernels.yaml"
    pins = yaml.safe_load(path.read_text())
    image = pins["kernels"]["debian-6.12"]["packages"]["image"]
    image |= {"version": "6.12.1-1", "sha256": "0" * 64}
    path.write_text(yaml.safe_dump(pins))
    message = boot_one_cell(relocked, exact_pins=True)
    assert "config/kernels.yaml: kernels.debian-6.12.packages.image" in message
    assert "6.12.1-1" in message
    assert "key exact_pins" in message
    assert "make relock" in message


def test_a_qemu_pin_that_vanished_and_no_other_is_wanted(relocked: Checkout) -> None:
    path = relocked.path / "config/qemus.yaml"
    pins = yaml.safe_load(path.read_text())
    pins["debian-13"]["packages"]["program"] |= {"version": "1:10.0.0-1", "sha256": "0" * 64}
    path.write_text(yaml.safe_dump(pins))
    message = boot_one_cell(relocked, qemu="debian-13", exact_pins=True)
    assert "config/qemus.yaml: debian-13.packages.program" in message
    assert "1:10.0.0-1" in message
    assert "make relock" in message


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"results": "a\nb"}, "key results: 'a\\nb' does not match"),
        ({"cpu_model": "max -nic user"}, "key cpu_model"),
        ({"ram": ["99999999999999999GiB"]}, "key ram.0"),
        ({"loads": {"idle": [float("nan")]}}, "key loads.idle.0: nan is not of type 'number'"),
    ],
)
def test_a_hostile_config(fresh: Checkout, changes: dict[str, object], wanted: str) -> None:
    done = fresh.snakemake("--configfile", write_config(fresh, **changes), fails=True)
    assert wanted in one_line(done.stderr)


def test_an_alias_bomb_is_refused_before_it_goes_off(fresh: Checkout) -> None:
    inner = {level: ", ".join([f"*a{level - 1}"] * 10) for level in range(1, 12)}
    bomb = [f"a{level}: &a{level} [{aliases}]" for level, aliases in inner.items()]
    path = fresh.path / write_config(fresh)
    path.write_text("\n".join(["a0: &a0 [x]", *bomb, path.read_text()]))
    done = fresh.snakemake("--configfile", "job.yaml", fails=True)
    assert "job.yaml: wanted at most 1000000 values" in one_line(done.stderr)


def test_paths_that_look_like_commands_are_paths(tmp_path: Path) -> None:
    strange = copy_checkout(tmp_path / 'it\'s "a" $(touch x) checkout; touch y &')
    results = 'its\' "results" $(touch x) `touch y`; touch z'
    config = write_config(strange, results=results)
    image = f"{results}/guest/debian-6.12/base.cpio"
    strange.snakemake(image, "--configfile", config)
    assert (strange.path / image).is_file()
    folders = (tmp_path, strange.path, strange.path / results)
    # The cache may have had the module, which is the same wherever its sources lie.
    kernel = unpacked_kernel(strange.path / results / "kernels/debian-6.12/kernel.json")
    guest, folder = strange.path / "workflow/guest", tmp_path / "building"
    folder.mkdir()
    module = _built_module(kernel, guest / "module", [guest / "include"], folder)
    assert module in (strange.path / image).read_bytes()
    assert not {"x", "y", "z"} & {path.name for folder in folders for path in folder.iterdir()}
