# SPDX-License-Identifier: GPL-2.0-only
"""The cell: one machine, one strategy variant, one scenario. The one place that spells its path.

A cell is booted once and serves all doses of its load: a trial is one of its points, a dose with a
seed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carveout.common.sizes import GIB, format_size, parse_size
from carveout.study.doses import possible_doses

# The parts of a cell's path, as the rules' wildcards have them.
MACHINE_PATH = "{kernel}/{ram}"
VARIANT_PATH = "{strategy}/{variant}"
SCENARIO = "{load}.{requests}.{granule}"
CELL_PATH = f"{MACHINE_PATH}/{VARIANT_PATH}/{SCENARIO}"


def scenario_name(load: str, requests: str, granule: str) -> str:
    """Return the load, the name of the list of requests, and in pieces of which size they are."""
    return SCENARIO.format(load=load, requests=requests, granule=granule)


@dataclass(frozen=True, order=True)
class Point:
    """What a trial has of its own within its cell."""

    dose_permille: int
    seed: int

    def __str__(self) -> str:
        return f"dose {self.dose_permille / 10:g} %, seed {self.seed}"


@dataclass(frozen=True)
class CellPath:
    """What a cell's path says; the order of cells is the order of the tables."""

    kernel: str
    ram: str
    strategy: str
    variant: str
    scenario: str

    def __str__(self) -> str:
        return f"{self.machine}/{self.strategy_variant}/{self.scenario}"

    @classmethod
    def parse(cls, text: str) -> "CellPath":
        """Return the path of which `str` gives the text."""
        return cls(*text.split("/"))

    @property
    def machine(self) -> str:
        """The machine's part of the path."""
        return MACHINE_PATH.format(kernel=self.kernel, ram=self.ram)

    @property
    def strategy_variant(self) -> str:
        """The strategy variant's part of the path."""
        return VARIANT_PATH.format(strategy=self.strategy, variant=self.variant)

    @property
    def ram_bytes(self) -> int:
        """The machine's RAM, in bytes."""
        return parse_size(self.ram, f"the machine of {self}")

    @property
    def place(self) -> tuple[str, int, str, str, str]:
        """The key by which cells are sorted."""
        return (self.kernel, self.ram_bytes, self.strategy, self.variant, self.scenario)


@dataclass(frozen=True)
class Variant:
    """A strategy's variant on one machine, all templates filled.

    Attributes:
        parameters: what ``guest.sh`` finds in its environment, in upper case.
        boot_ram_bytes: what QEMU's ``-m`` gives; the rest of the RAM is a device's.
        device_tree: source that is merged with what QEMU says of its machine, or None.
        needs: files of the running kernel, with what they say or None, and why they are needed.
        granules: those that it can give, of `carveout.study.geometry.GRANULES`.
        why_no_other: why it can give no other, or None.
        owner_regains: whether what is lent goes back to who owns the machine, where it is counted.
    """

    strategy: str
    name: str
    parameters: Mapping[str, str | int]
    boot_ram_bytes: int
    kernel_args: str
    qemu_args: Sequence[str]
    device_tree: str | None
    needs: Sequence[Mapping[str, str]]
    granules: Sequence[str]
    why_no_other: str | None
    owner_regains: bool = False


@dataclass(frozen=True)
class Cell:
    """One machine, one strategy variant, one scenario: all that its trials have in common.

    Attributes:
        pageblock_bytes: what the matrix took for the kernel's, as the guest then sees.
        section_bytes: likewise.
        doses_permille: the doses of its load, each once; with a ladder, the coarse ones.
        ladder: the arguments of `carveout.boots.ladder.Ladder`, which may add doses; or None.
        requests_bytes: lent one after another, each given back before the next.
        question: what they are to answer, one of `carveout.study.requests.QUESTIONS`.
        load_works: whether the load goes on while memory is lent.
        churn_steps: how many steps it goes on between two cycles.
        seeds: how many trials a dose has, or may have when ``replication`` stops it earlier.
        layouts: over how many hosts, each with another history before it is ready, they are spread.
        replication: the arguments of `carveout.boots.replication.AdaptiveRule`, or None.
        runs_vm: whether a VM runs in what is lent, before it is given back.
        first_seed: of the seeds, which follow one another.
    """

    kernel: str
    pageblock_bytes: int
    section_bytes: int
    ram_bytes: int
    cpus: int
    cpu_model: str
    lendable_bytes: int
    reserve_bytes: int
    variant: Variant
    load: str
    doses_permille: Sequence[int]
    ladder: Mapping[str, Any] | None
    requests: str
    requests_bytes: Sequence[int]
    question: str
    load_works: bool
    churn_steps: int
    granule: str
    seeds: int
    layouts: int
    replication: Mapping[str, Any] | None
    guest_limit_s: int
    runs_vm: bool
    first_seed: int = 1

    @property
    def seed_numbers(self) -> range:
        """The seeds of a dose, in their order."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def scenario(self) -> str:
        """The load, the name of the list of requests, and the granule."""
        return scenario_name(self.load, self.requests, self.granule)

    @property
    def is_available(self) -> bool:
        """Whether the variant can give the granule at all; if not, nothing is booted."""
        return not self.lends or self.granule in self.variant.granules

    @property
    def lends(self) -> bool:
        """Whether anything is asked of its hosts, or they are only counted."""
        return bool(self.requests_bytes)

    @property
    def touched_bytes(self) -> int:
        """What its host touches of the RAM at most.

        One that carries nothing and is only counted touches the memmap, which is at most a 64th
        part of it, the page tables that map it all, and the half of a GiB in which a kernel boots;
        but for kernels that write to all RAM by themselves (KASAN, init_on_free).
        """
        carries = self.lends or any(self.doses_permille)
        counted_bytes = self.ram_bytes // 32 + GIB // 2
        return self.ram_bytes if carries else min(self.ram_bytes, counted_bytes)

    @property
    def path(self) -> CellPath:
        """The path of the cell's output below ``trials`` and ``runs``, without the suffix."""
        return CellPath(
            kernel=self.kernel,
            ram=format_size(self.ram_bytes),
            strategy=self.variant.strategy,
            variant=self.variant.name,
            scenario=self.scenario,
        )

    def points(self) -> list[Point]:
        """Return all trials that the cell may have, in the order of the tables."""
        doses = possible_doses(self.doses_permille, self.ladder)
        return [Point(dose, seed) for dose in doses for seed in self.seed_numbers]

    def each_layout(self) -> Sequence[int]:
        """Return the layouts of its hosts; 0 is one without a history, where there is but one."""
        return range(1, self.layouts + 1) if self.layouts > 1 else [0]

    def layout_of(self, seed: int) -> int:
        """Return the layout of the host that a seed's trials run on: each gets the next one."""
        return self.each_layout()[(seed - 1) % self.layouts]

    def planned_points(self) -> list[Point]:
        """Return the trials that are known before any is made, in the order of the tables."""
        return [
            Point(dose, seed) for dose in sorted(self.doses_permille) for seed in self.seed_numbers
        ]

    def planned_trials(self) -> int:
        """Return how many trials the cell has, as far as it is known before any is made."""
        return len(self.doses_permille) * self.seeds

    def to_json(self) -> str:
        """Return the cell as one line of JSON, keys sorted: the form in which a job gets it."""
        return json.dumps(self, default=vars, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Cell":
        """Return the cell that `to_json` wrote."""
        content = json.loads(text)
        return cls(**{**content, "variant": Variant(**content["variant"])})
