"""Experiment assignment by an open hash: the same unit gets the same arm in every SDK, process and language.

The convention is GrowthBook's hash version 2: FNV-1a, 32 bits, over UTF-16 code units, applied twice, four decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeAlias

Range: TypeAlias = tuple[float, float]
"""Half-open share of the hash space, ``[start, end)``."""

_OFFSET_BASIS: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
# Weights are typed by people: 0.33, 0.33, 0.33 adds to 0.99 and is meant to be all.
_LEAST_WEIGHT_SUM: Final = 0.99
_MOST_WEIGHT_SUM: Final = 1.01


def fnv1a32(text: str) -> int:
    """FNV-1a of 32 bits over the UTF-16 code units of ``text`` (each xored in whole, as JavaScript SDKs do)."""
    code_units = memoryview(text.encode("utf-16-le", "surrogatepass"))
    number = _OFFSET_BASIS
    for low, high in zip(code_units[::2], code_units[1::2], strict=True):
        number = ((number ^ (low | high << 8)) * _PRIME) & 0xFFFFFFFF
    return number


def unit_share(seed: str, unit: str) -> float:
    """Where ``unit`` falls in the experiment ``seed``: one of 0.0000, 0.0001 … 0.9999, uniform over units."""
    return fnv1a32(str(fnv1a32(seed + unit))) % 10_000 / 10_000


def equal_weights(arms: int) -> list[float]:
    """The same weight for each of ``arms`` (>= 1) arms."""
    if arms < 1:
        raise ValueError(f"arms={arms!r}: an experiment has at least one")
    return [1.0 / arms] * arms


def bucket_ranges(weights: Sequence[float], coverage: float = 1.0) -> list[Range]:
    """The range of each arm: ``[c, c + coverage * w)`` with ``c`` the sum of the weights before.

    An arm starts at the same place whatever the coverage, so raising the coverage moves nobody between arms.

    Args:
        weights: share of each arm, each in 0..1, together 1 (within 0.01).
        coverage: share of the units that take part, 0..1.

    Raises:
        ValueError: a weight, their sum or the coverage breaks its rule; nothing is evened out.
    """
    if not weights or not all(0.0 <= weight <= 1.0 for weight in weights):
        raise ValueError(f"weights={list(weights)!r}: one or more shares in 0..1 are needed")
    if not _LEAST_WEIGHT_SUM <= sum(weights) <= _MOST_WEIGHT_SUM:
        raise ValueError(f"weights={list(weights)!r}: must add to 1, not {sum(weights)!r}")
    if not 0.0 <= coverage <= 1.0:
        raise ValueError(f"coverage={coverage!r}: must be a share in 0..1")
    starts = accumulate(weights[:-1], initial=0.0)
    return [(start, start + coverage * weight) for start, weight in zip(starts, weights, strict=True)]


def choose_variation(share: float, ranges: Sequence[Range]) -> int | None:
    """Index of the first range that holds ``share``; None outside all of them (outside coverage)."""
    return next((index for index, (start, end) in enumerate(ranges) if start <= share < end), None)
