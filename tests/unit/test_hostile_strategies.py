# SPDX-License-Identifier: GPL-2.0-only
"""A strategy of a stranger computes little, takes no more memory than is asked for, and is text."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carveout.common.errors import CarveoutError
from carveout.study.plugins import check_confined, check_memory, find_plugins, read_plugin, render
from carveout.study.snakemake_internals import read_numbers
from tests.unit.test_matrix import CONFIG
from tests.unit.test_matrix import read as read_config

GIB = 2**30
NAMES = {"ram_bytes": 4 * GIB, "lendable_bytes": GIB, "word": "a"}
BACKEND = "memory-backend-ram,id=x"


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A strategy that is in order."""
    folder = tmp_path / "strategies/one"
    folder.mkdir(parents=True)
    (folder / "strategy.yaml").write_text("{title: t, description: d, variants: {v: {title: t}}}")
    (folder / "guest.sh").write_text("lend() {\n\t:\n}\ngive_back() {\n\t:\n}\n")
    (folder / "rules.smk").write_text(
        "use rule boot_guest as boot_one with:\n"
        '    wildcard_constraints:\n        strategy="one",\n'
        "    threads: 2\n    priority: 3\n"
    )
    return folder


def read(plugin: Path) -> None:
    read_plugin("strategy", "one", find_plugins("strategy", [plugin.parent]), "job.yaml")


def test_a_link_out_of_its_place_is_refused(plugin: Path) -> None:
    read(plugin)
    (plugin / "beside.h").symlink_to("guest.sh")
    read(plugin)
    for target in ("/etc/passwd", "../../../../etc/passwd", "/dev/zero", "nowhere", "/etc"):
        (plugin / "more.c").symlink_to(target)
        with pytest.raises(CarveoutError, match=r"more\.c: wanted a file of this strategy"):
            read(plugin)
        (plugin / "more.c").unlink()
    (plugin / "guest.sh").unlink()
    os.mkfifo(plugin / "guest.sh")
    with pytest.raises(CarveoutError, match=r"guest\.sh"):
        read(plugin)


@pytest.mark.parametrize(
    "more",
    [
        '    output:\n        "/tmp/elsewhere",\n',
        '    shell:\n        "id >/tmp/elsewhere"\n',
        "    log:\n        '../../x',\n",
        "    threads: __import__('os').system('id')\n",
        '    resources:\n        slurm_extra="; id",\n',
        '    input:\n        qemu="/bin/sh",\n',
        "    priority: lambda wildcards: 1\n",
        '    priority: 1) or print("x"\n',
        "import os\n",
        'rule other:\n    shell: "id"\n',
        'onstart:\n    print("x")\n',
    ],
)
def test_rules_that_do_more_than_make_a_rule_are_refused(plugin: Path, more: str) -> None:
    path = plugin / "rules.smk"
    path.write_text(path.read_text() + more)
    with pytest.raises(CarveoutError, match=r"rules\.smk: wanted one rule"):
        read(plugin)


@pytest.mark.parametrize(
    "args",
    [
        ["-netdev", "user,id=n"],
        ["-nic", "user"],
        ["-drive", "file=/etc/passwd"],
        ["-virtfs", "local,path=/,mount_tag=x,security_model=none"],
        ["-device", "virtio-net-pci,netdev=n"],
        ["-device", "loader,file=/etc/passwd,addr=0x40000000"],
        ["-device", "vfio-pci,host=01:00.0"],
        ["-device", "virtio-rng-pci,romfile=/etc/passwd"],
        ["-device", "virtio-balloon-pci,romfile=passwd"],
        ["-device", "virtio-balloon-pci,driver=usb-mtp,rootdir=x"],
        ["-device", "driver=vhost-vsock-pci,guest-cid=3"],
        ["-device", '{"driver":"loader","file":"/etc/passwd"}'],
        ["-device", "virtio-balloon-pci,id=a\n"],
        ["-object", "memory-backend-ram,qom-type=memory-backend-file,mem-path=x,size=1M"],
        ["-object", "memory-backend-ram,id=x,size=1M,mem-path=/etc/passwd"],
        ["-m", "1G,file=x"],
        ["-object", "memory-backend-file,id=x,mem-path=/etc/passwd,size=1M"],
        ["-object", "rng-random,id=r,filename=/dev/random"],
        ["-semihosting-config", "enable=on"],
        ["-monitor", "tcp::4444"],
        ["-device"],
        ["-m", "1G", "-qmp"],
    ],
)
def test_a_strategy_gets_neither_network_nor_files(args: list[str]) -> None:
    with pytest.raises(CarveoutError, match=r"strategy\.yaml\.qemu_args: wanted pairs"):
        check_confined(args, None, "strategy.yaml")


@pytest.mark.parametrize("source", ['/include/ "/etc/passwd"', 'x = /incbin/("/etc/passwd");'])
def test_a_device_tree_reads_no_files(source: str) -> None:
    memory = "virtio-mem-pci,id=lendable,memdev=lendable_memory,requested-size=256B"
    check_confined(["-device", memory, "-m", "size=1G,maxmem=2G"], "/ { };", "strategy.yaml")
    with pytest.raises(CarveoutError, match=r"strategy\.yaml\.device_tree: .* found /inc"):
        check_confined([], f"/ {{ {source} }};", "strategy.yaml")


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ 1 // 0 }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_reaches_nothing(template: str) -> None:
    with pytest.raises(CarveoutError, match="cannot be filled") as error:
        render(template, {"ram_bytes": 1}, "strategy.yaml")
    assert "\n" not in str(error.value)


def refused(template: str) -> str:
    with pytest.raises(CarveoutError, match=r"strategy\.yaml: the template .* cannot be") as error:
        render(template, NAMES, "strategy.yaml")
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 1000
    return said


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("mem={{ ram_bytes - lendable_bytes }}", f"mem={3 * GIB}"),
        ("{{ lendable_bytes // (2 * 1024 * 1024) }}", "512"),
        ("pmem@{{ '%x' % (ram_bytes + 1) }} {", "pmem@100000001 {"),
        ("{{ '0x%08x, %d%%' % 7 }}", None),
        ("{{ '0x%08x%%' % 7 }}", "0x00000007%"),
        ("{{ 1 if ram_bytes > 5 and not word == 'b' else 2 }}", "1"),
        ("{% if word == 'a' %}a={{ -ram_bytes }}{% endif %}{# said #}", f"a={-4 * GIB}"),
    ],
)
def test_a_template_computes_sizes(template: str, wanted: str | None) -> None:
    if wanted is None:
        refused(template)
    else:
        assert render(template, NAMES, "strategy.yaml") == wanted


@pytest.mark.parametrize(
    "template",
    [
        "{{ '{0}'.format() }}",
        "{{ ''.encode('x') }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set a = word ~ word %}{{ a }}",
        "{{ word | center(10**12) }}",
        "{{ 9 ** (9 ** 9) }}",
        "{{ 2 ** 3 }}",
        "{{ [1] * 3 }}",
        "{{ range }}",
    ],
)
def test_a_template_calls_and_repeats_nothing(template: str) -> None:
    refused(template)


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{{ 'a' * 10000000000000 }}", "numbers around *"),
        ("{{ ram_bytes * word }}", "numbers around *"),
        ("{{ '%9999999999999d' % 1 }}", "%d or %x"),
        ("{{ '%.9999999999999d' % 1 }}", "%d or %x"),
        ("{{ '%*d' % 1 }}", "%d or %x"),
        ("{{ ram_byte * 2 }}", "'ram_byte' is undefined"),
        ("{{ " + "9" * 5000 + " }}", "digits"),
        ("{{ " + "-" * 300 + "1 }}", "at most 40 deep"),
        ("{{ " + "-" * 9000 + "1 }}", "recursion"),
        ("{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}", "recursion"),
        ("{% if 0 %}" + "{% elif 0 %}" * 20000 + "{% endif %}", "at most 10000 characters"),
        ("{{1}}" * 100_000, "at most 10000 characters"),
        ("{% if 1 %}" * 150 + "{% endif %}" * 150, "at most 40 deep"),
        ("{{ 1 +\n }}", "unexpected"),
    ],
)
def test_a_template_ends_and_its_text_is_short(template: str, wanted: str) -> None:
    assert wanted in refused(template)


@pytest.mark.parametrize("name", ["guest.sh", "rules.smk"])
def test_text_that_is_no_utf8_is_refused(plugin: Path, name: str) -> None:
    path = plugin / name
    path.write_bytes(path.read_bytes() + "# Größe\n".encode("latin-1"))
    with pytest.raises(CarveoutError, match=rf"{name}: wanted text in UTF-8, .*; save it as UTF-8"):
        read(plugin)


@pytest.mark.parametrize(
    "value",
    ["{[]: 1}", "-" * 100_000 + "1", "(" * 150 + "1" + ")" * 150, "[1]", "*[1]", "1j", "--1"],
)
def test_rules_with_other_values_than_numbers_and_texts_are_refused(
    plugin: Path, value: str
) -> None:
    path = plugin / "rules.smk"
    good = path.read_text()
    path.write_text(good.replace("priority: 3", "priority: -3"))
    read(plugin)
    path.write_text(good.replace("priority: 3", f"priority: {value}"))
    with pytest.raises(CarveoutError, match=r"rules\.smk: wanted one rule"):
        read(plugin)


@pytest.mark.parametrize(
    "args",
    [
        ["-object", f"{BACKEND},size=1G,prealloc=on"],
        ["-object", f"{BACKEND},prealloc-threads=64,size=1G"],
        ["-device", "virtio-mem-pci,id=x,memdev=y,prealloc=on"],
    ],
)
def test_no_memory_is_taken_before_the_guest_touches_it(args: list[str]) -> None:
    with pytest.raises(CarveoutError, match=r"strategy\.yaml\.qemu_args: wanted pairs"):
        check_confined(args, None, "strategy.yaml")


@pytest.mark.parametrize(
    ("boot_bytes", "backends"),
    [
        (3 * GIB, ["size=2G"]),
        (3 * GIB, [f"size={GIB + 1}"]),
        (3 * GIB, ["size=512M", "size=513M"]),
        (3 * GIB, ["size=1M,size=200G"]),
        (0, ["size=1T"]),
        (4 * GIB, ["size=1"]),
        (200 * GIB, []),
    ],
)
def test_a_host_has_no_more_memory_than_is_asked_for_it(
    boot_bytes: int, backends: list[str]
) -> None:
    args = [word for size in backends for word in ("-object", f"{BACKEND},{size}")]
    check_confined(args, None, "strategy.yaml")
    with pytest.raises(CarveoutError, match=r"strategy\.yaml: wanted RAM at boot .* found \d+ and"):
        check_memory(args, boot_bytes, 4 * GIB, "strategy.yaml")


def test_memory_of_a_device_may_stand_for_a_part_of_the_ram() -> None:
    args = ["-m", "size=3G,maxmem=4G", "-object", f"{BACKEND},size=1G,reserve=off"]
    check_memory(args, 3 * GIB, 4 * GIB, "strategy.yaml")
    check_memory([], 4 * GIB, 4 * GIB, "strategy.yaml")


@pytest.mark.parametrize("size", ["0x100", "1.5G", "1e3", "1g", "9" * 30])
def test_a_size_that_qemu_may_read_otherwise_is_refused(size: str) -> None:
    with pytest.raises(CarveoutError, match=r"qemu_args: wanted a size .* found size="):
        check_memory(["-object", f"{BACKEND},size={size}"], 0, GIB, "strategy.yaml")


@pytest.mark.parametrize(
    ("variant", "wanted"),
    [
        ({"boot_ram_bytes": "{{ ram_bytes * 50 }}"}, "wanted RAM at boot"),
        ({"qemu_args": ["-object", f"{BACKEND},size=200G"]}, "wanted RAM at boot"),
        ({"boot_ram_bytes": "9" * 5000}, "boot_ram_bytes: wanted a number of bytes"),
    ],
)
def test_a_config_with_a_strategy_that_takes_more_is_refused(
    variant: dict[str, Any], wanted: str, plugin: Path
) -> None:
    content = {"title": "t", "description": "d", "variants": {"v": {"title": "t", **variant}}}
    (plugin / "strategy.yaml").write_text(str(content))
    config = {key: value for key, value in CONFIG.items() if key != "figures"}
    folders = [str(plugin.parent)]
    with pytest.raises(CarveoutError, match=rf"key variants\.v.*{wanted}") as error:
        read_config({**config, "strategies": {"one": "all"}, "strategy_folders": folders})
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    "word", ["2024-02-30", "9" * 5000, "0x" + "f" * 5000, "!!bool maybe", "!!int ''", "[" * 5000]
)
def test_a_word_of_the_command_line_that_is_no_number_stays_a_text(word: str) -> None:
    config: dict[str, Any] = {"limits": {"wall_s": word, "job_s": "20"}}
    given = {"limits": dict(config["limits"])}  # all words are text as Snakemake reads them
    read_numbers(SimpleNamespace(config_settings=SimpleNamespace(config=given)), config)
    assert config == {"limits": {"wall_s": word, "job_s": 20}}
