# SPDX-License-Identifier: GPL-2.0-only
"""The config as a whole: what it asks for, and every way in which it is refused."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from carveout.common.errors import CarveoutError
from carveout.common.sizes import GIB
from carveout.study.cell import Cell, Point
from carveout.study.matrix import read_matrix

WORKFLOW = Path("workflow")


CONFIG: dict[str, Any] = {
    "results": "results",
    "kernels": ["debian-6.12"],
    "ram": ["4GiB"],
    "lendable": "1GiB",
    "requests": {"quarter_then_whole": ["256MiB", "1GiB"]},
    "strategies": {
        **dict.fromkeys(("baseline", "mem", "cma", "alloc_contig_range", "hugetlbfs"), "all"),
        "virtio-mem": ["online_movable"],
    },
    "loads": {
        "idle": [0],
        "anonymous_memory": [30, 70],
        "page_cache": {"from": 10, "to": 70, "step": 20, "finest": 5},
        "unmovable_pages": [10],
    },
    "seeds": 5,
    "figures": {
        "pageblock_map": {
            "strategy": "alloc_contig_range",
            "variant": "whole_memory",
            "scenario": "anonymous_memory.quarter_then_whole.page",
            "dose": 30,
        }
    },
}


@pytest.fixture
def config() -> dict[str, Any]:
    return copy.deepcopy(CONFIG)


def read(config: dict[str, Any]) -> list[Cell]:
    return list(read_matrix(copy.deepcopy(config), "job.yaml", WORKFLOW).cells)


def test_cells_are_variants_times_scenarios(config: dict[str, Any]) -> None:
    config["strategies"] = {"hugetlbfs": ["2M_boot", "1G_boot"], "cma": ["area"]}
    config["loads"] = {"idle": [0], "unmovable_pages": [5, 10]}
    del config["figures"]
    cells = read(config)
    assert [(c.variant.strategy, c.variant.name) for c in cells[::2]] == [
        ("hugetlbfs", "2M_boot"),
        ("hugetlbfs", "1G_boot"),
        ("cma", "area"),
    ]
    assert [(c.scenario, c.doses_permille) for c in cells[:2]] == [
        ("idle.quarter_then_whole.page", (0,)),
        ("unmovable_pages.quarter_then_whole.page", (50, 100)),
    ]


def test_a_cells_trials_are_its_doses_times_its_seeds(config: dict[str, Any]) -> None:
    config["strategies"] = {"mem": ["carve_out"]}
    config["loads"] = {"unmovable_pages": [12.5, 5]}
    config["seeds"] = 2
    del config["figures"]
    (cell,) = read(config)
    assert cell.points() == [Point(50, 1), Point(50, 2), Point(125, 1), Point(125, 2)]
    assert str(cell.points()[-1]) == "dose 12.5 %, seed 2"


@pytest.mark.parametrize("name", ["config", "large", "review", "smoke"])
def test_the_configs_that_carveout_brings_are_whole(name: str) -> None:
    source = Path(f"config/{name}.yaml")
    config = yaml.safe_load(source.read_text(encoding="utf-8"))
    assert read_matrix(config, str(source), WORKFLOW).cells


def test_cell_survives_its_json(config: dict[str, Any]) -> None:
    for cell in read(config):
        again = Cell.from_json(cell.to_json())
        assert again.to_json() == cell.to_json()
        assert again.path == cell.path


def test_virtio_mem_and_its_device_share_the_machines_ram(config: dict[str, Any]) -> None:
    config["strategies"] = {"virtio-mem": "all"}
    del config["figures"]
    for cell in read(config):
        assert cell.variant.boot_ram_bytes == cell.ram_bytes - cell.lendable_bytes


def change(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(config: dict[str, Any]) -> None:
        *path, last = key.split(".")
        for part in path:
            config = config[part]
        config[last] = value

    return apply


@pytest.mark.parametrize(
    ("mistake", "wanted"),
    [
        (change("sedes", 3), "unknown key sedes"),
        (change("limits", {"guest_m": 3}), "key limits: unknown key guest_m"),
        (change("seeds", "many"), "key seeds: 'many' is not of type 'integer'"),
        (change("seeds", 0), "key seeds: 0 is less than the minimum of 1"),
        (change("seeds", 2**18), "key seeds: 262144 is greater than the maximum of 262143"),
        (change("strategies.cmaa", "all"), "key strategies.cmaa: unknown strategy cmaa"),
        (change("strategies.cma", ["zone"]), "key strategies.cma: unknown variant zone"),
        (change("loads.noise", [5]), "key loads.noise: unknown load noise"),
        (change("loads.unmovable_pages", [2.55]), "wanted a multiple of 0.1 percent, found 2.55"),
        (change("figures.pageblock_map.dose", 31), "key figures.pageblock_map: wanted a trial"),
        (change("loads.idle", [10]), "key loads.idle: wanted [0], since this load has no dose"),
        (change("kernels", ["debian-2.4"]), "key kernels: unknown kernel debian-2.4"),
        (change("loads.unmovable_pages", [101]), "key loads.unmovable_pages.0: 101"),
        (change("requests.big", ["1MiB"]), "multiple of a pageblock of 2MiB"),
        (change("granules", ["1G"]), "key requests.quarter_then_whole: wanted a multiple of the"),
        (change("granules", ["4K"]), "key granules.0: '4K' is not one of"),
        (change("requests.big", ["2GiB"]), "wanted at most the lendable 1GiB, found 2GiB"),
        (change("lendable", "100MiB"), "key lendable: wanted a multiple of the memory section"),
        (change("lendable", "4GiB"), "key lendable: wanted less than the RAM of 4GiB"),
        (change("lendable", "512MiB"), "pieces of hugetlbfs 1G_boot, 1GiB"),
        (change("ram", ["1500MiB"]), "key ram: wanted a multiple of the memory section"),
        (change("ram", ["4 GB"]), "key ram.0: '4 GB' does not match"),
        (change("figures.pageblock_map.seed", 9), "key figures.pageblock_map: wanted a trial"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(
    config: dict[str, Any], mistake: Callable[[dict[str, Any]], None], wanted: str
) -> None:
    mistake(config)
    if "lendable" not in wanted and "requests" not in config:
        pytest.fail("the mistake must leave the rest of the config whole")
    if config["lendable"] == "512MiB":
        config["requests"] = {"one": ["256MiB"]}
        del config["figures"]
    with pytest.raises(CarveoutError) as caught:
        read(config)
    message = str(caught.value)
    assert message.startswith("job.yaml: key ")
    assert wanted in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            {"requests": {"big": ["2MiB"]}},
            "key requests.big: wanted a multiple of a pageblock of 32MiB",
        ),
        (
            {"loads": {"unmovable_pages": [0.5]}},
            "found 0.5 % of 128 pageblocks of 32MiB with kernel",
        ),
    ],
)
def test_larger_pages_make_a_config_impossible(
    config: dict[str, Any], changes: dict[str, Any], wanted: str
) -> None:
    del config["figures"]
    read(config | changes)
    with pytest.raises(CarveoutError, match=r"^job\.yaml: key ") as caught:
        read(config | changes | {"kernels": ["debian-6.12-16k"]})
    assert wanted in str(caught.value)


def test_a_kernel_of_the_users_own_may_state_its_pageblocks(config: dict[str, Any]) -> None:
    own = {
        "page_bytes": 65536,
        "pageblock_bytes": 2 * 2**20,
        "tree": "somewhere",
        "config": ["base"],
    }
    config |= {"kernels": ["mine"], "own_kernels": {"mine": own}}
    assert {cell.pageblock_bytes for cell in read(config)} == {2 * 2**20}
    del own["pageblock_bytes"]
    with pytest.raises(CarveoutError, match=r"wanted a multiple of a pageblock of 512MiB"):
        read(config)


def test_a_granule_that_nobody_can_give_is_refused(config: dict[str, Any]) -> None:
    config["strategies"] = {"baseline": ["ordinary_pages"]}
    config["granules"] = ["page", "2M"]
    del config["figures"]
    with pytest.raises(
        CarveoutError, match=r"can give, found 2M; .*ordinary pages come one by one"
    ):
        read(config)


CENSUS: dict[str, Any] = {
    "ram": ["8GiB", "64GiB"],
    "requests": {"nothing": {"question": "census"}},
    "strategies": {"baseline": ["ordinary_pages"]},
    "loads": {"idle": [0]},
    "seeds": 1,
}


def test_a_part_has_keys_of_its_own_and_takes_the_others(config: dict[str, Any]) -> None:
    config["also"] = [CENSUS, {"kernels": ["debian-6.1"]}]
    matrix = read_matrix(copy.deepcopy(config), "job.yaml", WORKFLOW)
    first, counted, older = matrix.parts
    assert matrix.cells == [*first, *counted, *older]
    assert matrix.kernels == ["debian-6.12", "debian-6.1"]
    assert [(cell.kernel, cell.ram_bytes, cell.lends) for cell in counted] == [
        ("debian-6.12", 8 * GIB, False),
        ("debian-6.12", 64 * GIB, False),
    ]
    assert {cell.kernel for cell in older} == {"debian-6.1"}
    assert [replace(cell, kernel="debian-6.12") for cell in older] == list(first)
    assert set(matrix.loads) == set(config["loads"])


def test_a_part_may_run_vms_and_a_counted_host_runs_none(config: dict[str, Any]) -> None:
    config["also"] = [{"kernels": ["debian-6.1"], "vm": True}, {**CENSUS, "vm": True}]
    asked = {(cell.kernel, cell.lends): cell.runs_vm for cell in read(config)}
    assert asked == {
        ("debian-6.12", True): False,
        ("debian-6.1", True): True,
        ("debian-6.12", False): False,
    }


def test_a_host_that_is_only_counted_may_be_larger_than_the_machine(config: dict[str, Any]) -> None:
    config["also"] = [CENSUS]
    *_, small, large = read(config)
    assert 0 < small.touched_bytes < small.ram_bytes
    assert large.touched_bytes < 3 * GIB


@pytest.mark.parametrize(
    ("also", "wanted"),
    [
        ([{"sedes": 3}], "key also.0: unknown key sedes"),
        ([{"kernels": ["debian-2.4"]}], "part 1 of the key also: key kernels: unknown kernel"),
        (
            [CENSUS, {"ram": ["8GiB"], "lendable": "100MiB"}],
            "part 2 of the key also: key lendable: wanted a multiple of the memory section",
        ),
        ([{"seeds": 2}], "wanted every cell once, found debian-6.12/4GiB/baseline"),
        (
            [{**CENSUS, "loads": {"page_cache": {"from": 0, "to": 20, "step": 10, "finest": 5}}}],
            "key loads.page_cache: wanted a list of doses, since requests.nothing lends nothing",
        ),
        (
            [{**CENSUS, "requests": {"nothing": {"question": "census", "sizes": ["1GiB"]}}}],
            "unknown key sizes; known are question",
        ),
    ],
)
def test_a_mistake_in_a_part_says_which(
    config: dict[str, Any], also: list[dict[str, Any]], wanted: str
) -> None:
    config["also"] = also
    with pytest.raises(CarveoutError, match=r"^job\.yaml: ") as caught:
        read(config)
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_with_fewer_seeds_than_layouts_a_seed_has_the_same_host(config: dict[str, Any]) -> None:
    few, many = (read(config | {"seeds": seeds, "layouts": 3})[0] for seeds in (2, 9))
    assert [few.layout_of(seed) for seed in (1, 2)] == [many.layout_of(seed) for seed in (1, 2)]


def test_seeds_take_the_layouts_in_turn(config: dict[str, Any]) -> None:
    (cell, *_) = read(config | {"seeds": 3, "layouts": 2})
    assert [cell.layout_of(seed) for seed in (1, 2, 3)] == [1, 2, 1]
    assert {cell.layout_of(3) for cell in read(config | {"layouts": 1})} == {0}


def test_what_a_census_does_not_need_is_not_asked_of_it(config: dict[str, Any]) -> None:
    config |= {"replication": {"interval_width": 0.2}, "granules": ["2M"]}
    small = {**CENSUS, "ram": ["512MiB"], "kernels": ["debian-6.12", "lab-64k"]}
    config["also"] = [small | {"strategies": {"baseline": "all"}, "seeds": 1}]
    config["strategies"] = {"cma": "all"}
    config["figures"] = {}
    counted = [cell for cell in read(config) if not cell.lends]
    assert {(cell.granule, cell.replication) for cell in counted} == {("page", None)}
    assert all(cell.is_available for cell in counted)


def test_a_counted_host_with_a_load_touches_what_it_carries(config: dict[str, Any]) -> None:
    config["also"] = [{**CENSUS, "loads": {"anonymous_memory": [0, 60]}}]
    assert {cell.touched_bytes == cell.ram_bytes for cell in read(config)[-2:]} == {True}


def test_kernels_are_held_against_the_first_of_their_part(config: dict[str, Any]) -> None:
    config["kernels"] = ["debian-6.12", "debian-6.1"]
    config["also"] = [{"kernels": ["lab", "lab-nonotifier"]}, CENSUS]
    matrix = read_matrix(copy.deepcopy(config), "job.yaml", WORKFLOW)
    assert matrix.kernel_pairs == [("debian-6.12", "debian-6.1"), ("lab", "lab-nonotifier")]


def test_the_map_may_be_of_a_later_part(config: dict[str, Any]) -> None:
    part = {"ram": ["8GiB"], "loads": {"anonymous_memory": [45]}}
    config["also"] = [part]
    config["figures"]["pageblock_map"]["dose"] = 45
    assert read(config)


def test_the_finest_dose_of_a_ladder_is_checked_too(config: dict[str, Any]) -> None:
    ladder = {"from": 0, "to": 60, "step": 20, "finest": 2.5}
    config |= {"kernels": ["debian-6.12-16k"], "ram": ["1GiB"], "lendable": "512MiB", "figures": {}}
    config |= {"requests": {"half": ["512MiB"]}, "strategies": {"cma": "all"}}
    config["loads"] = {"unmovable_pages": ladder}
    with pytest.raises(CarveoutError, match=r"found 2\.5 % of 32 pageblocks of 32MiB"):
        read(config)
    ladder["finest"] = 5
    assert read(config)


def test_the_example_of_parts_fits_the_main_job() -> None:
    text = Path("config/README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```\n(also:\n.*?)```", text, re.DOTALL)
    config = yaml.safe_load(Path("config/config.yaml").read_text(encoding="utf-8"))
    assert len(read_matrix(config | yaml.safe_load(example), "main", WORKFLOW).parts) == 3


def test_a_kernel_that_is_pinned_wrongly_is_one_line(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/kernels.yaml").write_text("kernels: {mine: {suites: [sid]}}\n")
    (tmp_path / "workflow").symlink_to(WORKFLOW.absolute())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CarveoutError, match=r"^config/kernels\.yaml: key .*required property"):
        read(config)


def test_two_names_for_the_same_requests_are_refused(config: dict[str, Any]) -> None:
    del config["figures"]
    one = config | {"requests": {"one": ["256MiB", "1GiB"]}}
    for asked in (["256MiB", "1GiB"], {"sizes": ["256MiB", "1024MiB"], "question": "capacity"}):
        with pytest.raises(
            CarveoutError, match=r"^job\.yaml: key requests\.two: .* those of one, found the same"
        ):
            read(one | {"requests": one["requests"] | {"two": asked}})
    read(one | {"requests": one["requests"] | {"two": ["1GiB", "256MiB"]}})
    idle = {"loads": {"unmovable_pages": [20]}}
    other = {"requests": {"two": ["256MiB", "1GiB"]}, "loads": {"unmovable_pages": [30]}}
    read(one | idle | {"also": [other]})
    with pytest.raises(CarveoutError, match=r"requests\.two: .* same trials of .*one\.page"):
        read(one | idle | {"also": [other | idle]})


def test_a_config_that_lends_nothing_is_refused(config: dict[str, Any]) -> None:
    del config["figures"]
    with pytest.raises(CarveoutError, match=r"job\.yaml: key requests: wanted sizes to lend"):
        read(config | CENSUS)
