"""Ratios over blocks of time: calls of one minute depend on each other, so blocks tell how much a ratio strays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan, sqrt

from otel_measure.stats.special import student_t_sf


@dataclass(frozen=True, slots=True)
class BlockRatio:
    """A ratio of sums over blocks.

    Attributes:
        value: sum of the numerators over that of the denominators; nan without any.
        total: the sum of the denominators.
        squared_error: of the value, as far as the blocks tell.
        effective_blocks: (sum of the denominators)**2 / sum of their squares: of equal blocks, how many they are.
    """

    value: float
    total: float
    squared_error: float
    effective_blocks: float


def block_ratio(blocks: Iterable[tuple[float, float]]) -> BlockRatio:
    """Return the ratio of sums over (numerator, denominator) of each block, and how much it strays.

    The ratio estimator of cluster samples (Cochran, Sampling Techniques, 1977, chapter 6): with r the ratio and k the
    effective blocks, the squared error is sum((x - r n)**2) / sum(n)**2 * k / (k - 1).
    """
    pairs = [(x, n) for x, n in blocks if n > 0.0]
    total = sum(n for _, n in pairs)
    if not total:
        return BlockRatio(nan, 0.0, nan, 0.0)
    value = sum(x for x, _ in pairs) / total
    effective = total**2 / sum(n * n for _, n in pairs)
    if effective <= 1.0:
        return BlockRatio(value, total, nan, effective)
    squares = sum((x - value * n) ** 2 for x, n in pairs)
    return BlockRatio(value, total, squares / total**2 * effective / (effective - 1.0), effective)


def change_p_value(now: BlockRatio, before: BlockRatio, least_variance: float) -> float:
    """Return the chance of a difference at least as large when nothing has changed; two-sided, nan where unknown.

    Student's t with as many degrees of freedom as the shorter window has effective blocks, less one.

    Args:
        now: the ratio in one window.
        before: that in the other one.
        least_variance: of a single one of the denominators; the blocks may not say less than if these were independent.
    """
    blocks = min(now.effective_blocks, before.effective_blocks)
    if blocks <= 1.0:
        return nan
    squared = sum(max(ratio.squared_error, least_variance / ratio.total) for ratio in (now, before))
    distance = abs(now.value - before.value)
    if not distance:
        return 1.0
    return 2.0 * student_t_sf(distance / sqrt(squared), blocks - 1.0) if squared > 0.0 else 0.0
