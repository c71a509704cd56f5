"""Exponential histograms as bytes: a header, the sum, and for each occupied bucket its gap to the one before and count.

A store reads thousands of them for one answer, most with a bucket or two, so reading one adds it to what others hold.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple

from otel_measure.stats.varints import decode, encode

_FORMAT: Final = 1
_HEADER: Final = struct.Struct("<BbBidd")  # format, scale, bytes of the sum, first index, min, max


class ReadHistograms(NamedTuple):
    """What histograms hold together.

    Attributes:
        by_scale: counts of buckets by their index, at the scale of the histogram they come from.
        sum_units, minimum, maximum: of all values; `inf` and `-inf` where there is none.
    """

    by_scale: Mapping[int, Mapping[int, int]]
    sum_units: int
    minimum: float
    maximum: float


def write(scale: int, sum_units: int, minimum: float, maximum: float, counts: Mapping[int, int]) -> bytes:
    """Return the bytes of one histogram, which depend on nothing else."""
    total = sum_units.to_bytes((sum_units.bit_length() + 7) // 8, "little")
    first = min(counts, default=0)
    numbers: list[int] = []
    before = first
    for index in sorted(counts):
        numbers += (index - before, counts[index])
        before = index
    return _HEADER.pack(_FORMAT, scale, len(total), first, minimum, maximum) + total + encode(numbers)


def read(*blobs: bytes) -> ReadHistograms:
    """Return what the histograms hold together that `write` made these bytes of.

    Raises:
        ValueError: bytes are cut off or of another format.
    """
    by_scale: dict[int, dict[int, int]] = {}
    sum_units, minimum, maximum = 0, inf, -inf
    for blob in blobs:
        if len(blob) < _HEADER.size or blob[0] != _FORMAT:
            raise ValueError(f"blob={blob[:24]!r}…: not a histogram of format {_FORMAT}; rebuild the roll-ups")
        _, scale, width, index, smallest, largest = _HEADER.unpack_from(blob)
        rest = _HEADER.size + width
        numbers = decode(blob[rest:])
        if not numbers:
            continue
        counts = by_scale.setdefault(scale, {})
        for gap, n in zip(numbers[::2], numbers[1::2], strict=True):
            index += gap
            counts[index] = counts.get(index, 0) + n
        sum_units += int.from_bytes(blob[_HEADER.size : rest], "little")
        minimum, maximum = min(minimum, smallest), max(maximum, largest)
    return ReadHistograms(by_scale, sum_units, minimum, maximum)
