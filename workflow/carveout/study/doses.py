# SPDX-License-Identifier: GPL-2.0-only
"""The doses of a load: a list, or a ladder that is walked where the answer changes.

Doses are counted in steps of a tenth of a percent, as a guest is told them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carveout.common.errors import CarveoutError

_RESOLUTION = 0.25


@dataclass(frozen=True)
class Doses:
    """What a config says of a load's doses.

    Attributes:
        permille: the doses; of a ladder, those with which it begins.
        ladder: the arguments of `carveout.boots.ladder.Ladder`, or None.
    """

    permille: tuple[int, ...]
    ladder: Mapping[str, Any] | None

    @property
    def possible_permille(self) -> Sequence[int]:
        """All doses that may be tried, in their order."""
        return possible_doses(self.permille, self.ladder)


def possible_doses(permille: Sequence[int], ladder: Mapping[str, Any] | None) -> Sequence[int]:
    """Return all doses that may be tried, in their order: of a ladder down to its finest steps."""
    doses = sorted(permille)
    return range(doses[0], doses[-1] + 1, ladder["finest_permille"]) if ladder else doses


def read_doses(wanted: Sequence[float] | Mapping[str, float], where: str, dose_of: str) -> Doses:
    """Return the doses that a config asks for.

    Args:
        wanted: what the config's schema allows: a list in percent, or a ladder.
        where: file and key, for errors.
        dose_of: what the load's dose is of.

    Raises:
        CarveoutError: no load can have such doses.
    """
    if dose_of == "none" and wanted != [0]:
        raise CarveoutError(f"{where}: wanted [0], since this load has no dose, found {wanted}")
    if isinstance(wanted, Mapping):
        return _read_ladder(wanted, where)
    return Doses(tuple(_permille(dose, where) for dose in wanted), None)


def _read_ladder(wanted: Mapping[str, float], where: str) -> Doses:
    first, last, step, finest = (
        _permille(wanted[key], f"{where}.{key}") for key in ("from", "to", "step", "finest")
    )
    if first >= last or (last - first) % step:
        raise CarveoutError(
            f"{where}: wanted whole steps of {wanted['step']} from {wanted['from']} up, "
            f"found that {wanted['to']} is none"
        )
    if step % finest:
        raise CarveoutError(
            f"{where}.finest: wanted a part of the step of {wanted['step']}, "
            f"found {wanted['finest']}"
        )
    resolution = wanted.get("resolution", _RESOLUTION)
    return Doses(
        tuple(range(first, last + 1, step)),
        {"finest_permille": finest, "resolution": resolution},
    )


def _permille(percent: float, where: str) -> int:
    permille = round(percent * 10)
    if percent != permille / 10:
        raise CarveoutError(f"{where}: wanted a multiple of 0.1 percent, found {percent}")
    return permille
