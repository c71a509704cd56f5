"""What a machine was like: of each reading its mean and its largest, in cells of 10 seconds, a minute and an hour.

Sums are whole thousandths, so that cells add up to any step exactly, in whatever order.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.steps import LADDER
from otel_measure.definitions.windows import LEVELS_S

FINEST_S: Final = 10
MACHINE_LEVELS_S: Final = (FINEST_S, *LEVELS_S)
"""How long cells are, in seconds; the first are kept for a day, the others as long as the history of streams."""
MACHINE_LADDER: Final = {f"{FINEST_S}s": FINEST_S, **LADDER}
"""The lengths of steps of a machine's series, in seconds, by the names that ask for them."""
_THOUSAND: Final = 1000


class ReadingSum(NamedTuple):
    """Readings of one kind.

    Attributes:
        n: how many there are.
        thousandths: their sum.
        most: the largest.
    """

    n: int
    thousandths: int
    most: float

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.thousandths / self.n / _THOUSAND

    def plus(self, other: ReadingSum) -> ReadingSum:
        """Return the readings of both."""
        return ReadingSum(self.n + other.n, self.thousandths + other.thousandths, max(self.most, other.most))


MachineCell: TypeAlias = dict[str, ReadingSum]
"""Readings by their name; what was never known is left out."""


def cell_of(readings: Mapping[str, float]) -> MachineCell:
    """Return the cell of readings taken at one moment; those that are not known are left out."""
    return {name: ReadingSum(1, round(value * _THOUSAND), value) for name, value in readings.items() if isfinite(value)}


def add_to(cell: MachineCell, other: MachineCell) -> None:
    """Add the readings of another cell."""
    for name, readings in other.items():
        known = cell.get(name)
        cell[name] = readings if known is None else known.plus(readings)


def mean_of(cell: MachineCell, name: str) -> float:
    """Return the mean of a reading, `nan` where it was not known."""
    return cell[name].mean if name in cell else nan


def most_of(cell: MachineCell, name: str) -> float:
    """Return the largest of a reading, `nan` where it was not known."""
    return cell[name].most if name in cell else nan
