"""Questions about models, answered from their calls: counts, tokens and money in whole numbers, latencies in buckets.

The bucket of a call at the finest scale is written with it; a question adds buckets up, as coarse as the histogram of
these calls would have them, and the result is that histogram to the byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from otel_measure.definitions.model_use import ModelUse
from otel_measure.stats import histogram_bytes
from otel_measure.stats.histograms import MAX_SCALE, MAX_SIZE, ExponentialHistogram
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.types.models import ModelKey

_CHOSEN: Final = (
    "{db}.inference FINAL WHERE environment = {environment:String} AND ts >= fromUnixTimestamp64Micro({start:Int64})"
    " AND ts < fromUnixTimestamp64Micro({end:Int64}) AND (model = {model:String} AND version = {version:String}"
    " OR {every:Bool})"
)


def _sum(whole: str) -> str:
    """Return the sum of whole numbers: of 64 bits, a sum would begin again at 0 without a word."""
    return f"ifNull(sum(toInt128({whole})), 0)"


# A field of `ModelUse` → what calls add to it.
_SUMS: Final[Mapping[str, str]] = {
    "requests": "count()",
    "errors": "count(error_type)",
    "input_tokens": _sum("input_tokens"),
    "input_known": "count(input_tokens)",
    "output_tokens": _sum("output_tokens"),
    "output_known": "count(output_tokens)",
    "cost_nano_usd": _sum("cost_nano"),
    "priced": "count(cost_nano)",
    "priced_tokens": _sum("if(cost_nano IS NULL, 0, ifNull(input_tokens, 0) + ifNull(output_tokens, 0))"),
    "cached_input_tokens": _sum("cached_input_tokens"),
    "cached_known": "count(cached_input_tokens)",
    "hit_input_tokens": _sum("if(cached_input_tokens IS NULL, NULL, input_tokens)"),
    "hit_cached_tokens": _sum(
        "if(cached_input_tokens IS NULL OR input_tokens IS NULL, NULL, least(cached_input_tokens, input_tokens))"
    ),
    "reasoning_tokens": _sum("reasoning_tokens"),
    "reasoning_known": "count(reasoning_tokens)",
    "cache_savings_nano_usd": _sum("saved_nano"),
    # Without a cache nothing was saved, whatever the price.
    "cache_savings_known": (
        "countIf(saved_nano IS NOT NULL OR (cached_input_tokens = 0 AND ifNull(cache_write_tokens, 0) = 0))"
    ),
}


class _Times(NamedTuple):
    """What is measured of calls: the columns of its bucket, value and whole number, and of which calls it is known."""

    bucket: str
    value: str
    units: str
    known: str


_LATENCY: Final = _Times("latency_index", "latency_ms", "latency_us", "untimed = 0")
_FIRST_CHUNK: Final = _Times("first_chunk_index", "first_chunk_ms", "first_chunk_us", "first_chunk_us IS NOT NULL")


class ClickHouseModelQuestions:
    """What models did, of one environment.

    Args:
        database: of the store.
        environment: whose calls are counted.
    """

    def __init__(self, database: ClickHouseDatabase, environment: str) -> None:
        self.environment = environment
        self._database = database

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), microseconds, sorted by name and version."""
        asked = self._asked(start, end, only)
        uses: dict[ModelKey, ModelUse] = {}
        for model, version, *sums in self._rows(f"SELECT model, version, {', '.join(_SUMS.values())}", asked):
            uses[model, version] = ModelUse(model, version, **dict(zip(_SUMS, sums, strict=True)))
        by_source = "SELECT model, version, ifNull(cost_source, 'caller') AS source, count(), sum(toInt128(cost_nano))"
        for model, version, source, n, nano_usd in self._rows(by_source, asked, "cost_nano IS NOT NULL", "source"):
            uses[model, version].sources[source] = n
            if nano_usd:  # as sums of several cells have it
                uses[model, version].sources_nano_usd[source] = nano_usd
        for key, histogram in self._histograms(_LATENCY, asked).items():
            uses[key].latency = histogram
        for key, histogram in self._histograms(_FIRST_CHUNK, asked).items():
            uses[key].first_chunk = histogram
        return [uses[key] for key in sorted(uses)]

    def _histograms(self, times: _Times, asked: Mapping[str, object]) -> dict[ModelKey, ExponentialHistogram]:
        """Return the histogram of each model that has any of these times."""
        ends = self._rows(
            f"SELECT model, version, min({times.bucket}), max({times.bucket}), min({times.value}), max({times.value}),"
            f" sum(toInt128({times.units}))",
            asked,
            times.known,
        )
        if not ends:
            return {}
        shift = min(_shift(first, last) for _, _, first, last, *_ in ends)
        counts: dict[ModelKey, dict[int, int]] = {}
        bucket = f"SELECT model, version, bitShiftRight({times.bucket}, {shift:d}) AS bucket, count()"
        for model, version, index, n in self._rows(bucket, asked, times.known, "bucket"):
            counts.setdefault((model, version), {})[index] = n
        return {
            (model, version): ExponentialHistogram.from_bytes(
                histogram_bytes.write(MAX_SCALE - shift, units, smallest + 0.0, largest + 0.0, counts[model, version])
            )
            for model, version, _, _, smallest, largest, units in ends
        }

    def _asked(self, start: int, end: int, only: ModelKey | None) -> dict[str, object]:
        model, version = only or ("", "")
        return {
            "environment": self.environment, "start": start, "end": end,
            "model": model, "version": version, "every": only is None,
        }  # fmt: skip

    def _rows(
        self, select: str, asked: Mapping[str, Any], known: str = "1", also_by: str = ""
    ) -> Sequence[Sequence[Any]]:
        groups = f"model, version, {also_by}" if also_by else "model, version"
        return self._database.rows(f"{select} FROM {_CHOSEN} AND {known} GROUP BY {groups}", **asked)


def _shift(first: int, last: int) -> int:
    """Return by how much the buckets of a histogram are coarser than the finest, by its outer ones."""
    shift = 0
    while (last >> shift) - (first >> shift) >= MAX_SIZE:
        shift += 1
    return shift
