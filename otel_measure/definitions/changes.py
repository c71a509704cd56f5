"""What changed: numbers that differ from the time before by more than chance explains, and by enough to matter."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, log, nan
from typing import Final, Literal, NamedTuple

from otel_measure.definitions.kpis import Unit
from otel_measure.stats.blocks import BlockRatio, change_p_value
from otel_measure.stats.tests import holm

CHANGE_LEVEL: Final = 0.001
"""How likely any invented change may be among all that are compared (Holm)."""
LEAST_CHANGE: Final = 0.2
"""A change of less than this share of what was before is none that anybody is told of."""
MIN_EVIDENCE: Final = 20
"""Calls that each of the two windows needs."""
MIN_BLOCKS: Final = 6
"""Effective blocks that each needs: fewer do not tell how much a number strays."""


class ChangeSubject(NamedTuple):
    """Which number of whom is compared; see `judging.changes.Change`."""

    key: str
    unit: Unit | Literal[""]
    kind: str
    subject: str


class Compared(NamedTuple):
    """A number of a subject in two windows; `p_value` is 1 where nobody could be told of a change."""

    value: float
    before: float
    p_value: float

    @property
    def is_large(self) -> bool:
        """Whether the difference is large enough to tell of; of what was 0 every other value is."""
        return not (1.0 - LEAST_CHANGE) * self.before < self.value < (1.0 + LEAST_CHANGE) * self.before and (
            self.value != self.before
        )

    @property
    def change(self) -> float:
        """By which share the value is larger; nan where it was 0."""
        return self.value / self.before - 1.0 if self.before else nan

    @property
    def size(self) -> float:
        """How large the change is, the same upwards and downwards."""
        return abs(log(self.value / self.before)) if self.value > 0.0 and self.before > 0.0 else 100.0


def share_variance(now: BlockRatio, before: BlockRatio) -> float:
    """Return the variance of one call that is or is not of a kind, of both windows together."""
    p = (now.value * now.total + before.value * before.total) / (now.total + before.total)
    return p * (1.0 - p)


def cost_variance(now: BlockRatio, before: BlockRatio) -> float:
    """Return the least variance of what one call costs: that of an exponential distribution of its mean.

    Costs of equal calls do not vary at all, until one differs: a few of them prove nothing.
    """
    mean = (now.value * now.total + before.value * before.total) / (now.total + before.total)
    return mean * mean


def p_value_of(now: BlockRatio, before: BlockRatio, least_variance: float) -> float:
    """Return the p-value of a change; 1 where there is too little to tell."""
    if min(now.total, before.total) < MIN_EVIDENCE or min(now.effective_blocks, before.effective_blocks) < MIN_BLOCKS:
        return 1.0
    p_value = change_p_value(now, before, least_variance)
    return 1.0 if isnan(p_value) else min(p_value, 1.0)


def changed(compared: Sequence[Compared]) -> list[tuple[int, float]]:
    """Return which of all that were compared have changed, as (position, adjusted p-value), the largest change first.

    What is not large enough is compared as well: its p-value counts as 1. So the chance that anything is invented is at
    most `CHANGE_LEVEL`, whatever depends on what.
    """
    adjusted = holm([one.p_value if one.is_large else 1.0 for one in compared])
    told = [(i, p) for i, p in enumerate(adjusted) if p < CHANGE_LEVEL and compared[i].is_large]
    return sorted(told, key=lambda one: (-compared[one[0]].size, one[0]))
