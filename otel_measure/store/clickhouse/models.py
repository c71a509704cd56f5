"""Questions about models, answered from their calls: counts, tokens and money in whole numbers, latencies in buckets.

The bucket of a call at the finest scale is written with it; a question adds buckets up, as coarse as the histogram of
these calls would have them, and the result is that histogram to the byte. What others tell of calls is in the replica:
everything adds, so an answer is the sum of both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from otel_measure.conventions.model_names import PROVIDER_BY_MODEL_PREFIX
from otel_measure.conventions.semconv import OTHER
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.model_use import UNSAID_SOURCE, ModelUse
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US, CountedBy
from otel_measure.stats import histogram_bytes
from otel_measure.stats.histograms import MAX_SCALE, MAX_SIZE, ExponentialHistogram, latency_index
from otel_measure.store.clickhouse.call_changes import CallPartChanges
from otel_measure.store.clickhouse.chosen_calls import US, CallTable, ChosenCalls, whole_sum
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.model_questions import StoredModels
from otel_measure.store.types.models import (
    ALL_MODELS,
    CallChanges,
    GroupBy,
    GroupKey,
    Model,
    ModelChoice,
    ModelKey,
)

_Key: TypeAlias = tuple[Any, ...]
_K = TypeVar("_K")
_Read: TypeAlias = Callable[[Sequence[Any]], tuple[_Key, str]]
_TOLD_CHANGES: Final = 2**40  # more than there are of calls that others told of: both changes are one number
_STEP: Final = f"roundDown({US}, {{edges:Array(Int64)}})"
"""When the step begins that a call lies in."""


# A field of `ModelUse` → what calls add to it.
_SUMS: Final[Mapping[str, str]] = {
    "requests": "count()",
    "errors": "count(error_type)",
    "input_tokens": whole_sum("input_tokens"),
    "input_known": "count(input_tokens)",
    "output_tokens": whole_sum("output_tokens"),
    "output_known": "count(output_tokens)",
    "cost_nano_usd": whole_sum("cost_nano"),
    "priced": "count(cost_nano)",
    "priced_tokens": whole_sum("ifNull(input_tokens, 0) + ifNull(output_tokens, 0)", of="cost_nano IS NOT NULL"),
    "cached_input_tokens": whole_sum("cached_input_tokens"),
    "cached_known": "count(cached_input_tokens)",
    "hit_input_tokens": whole_sum("input_tokens", of="cached_input_tokens IS NOT NULL"),
    "hit_cached_tokens": whole_sum(
        "least(cached_input_tokens, input_tokens)", of="cached_input_tokens IS NOT NULL AND input_tokens IS NOT NULL"
    ),
    "reasoning_tokens": whole_sum("reasoning_tokens"),
    "reasoning_known": "count(reasoning_tokens)",
    "cache_savings_nano_usd": whole_sum("saved_nano"),
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


class _Ends(NamedTuple):
    """Of how many calls a time is known, the outermost of these, milliseconds, and their sum, microseconds."""

    known: int
    smallest: float
    largest: float
    units: int

    def joined(self, other: _Ends | None) -> _Ends:
        """Return the ends of the calls of both."""
        if other is None or not other.known:
            return self
        if not self.known:
            return other
        return _Ends(*(joined(pair) for joined, pair in zip(_JOINED, zip(self, other, strict=True), strict=True)))


_JOINED: Final[tuple[Callable[..., Any], ...]] = (sum, min, max, sum)


def _ends(times: _Times) -> str:
    """Return the SQL of `_Ends`; nothing of it means anything where no time is known."""
    ends = (
        f"{aggregate}If({column}, {times.known})"
        for aggregate, column in (("min", times.value), ("max", times.value), ("sum", f"toInt128({times.units})"))
    )
    return f"countIf({times.known}), {', '.join(ends)}"


_LATENCY: Final = _Times("latency_index", "latency_ms", "latency_us", "untimed = 0")
_FIRST_CHUNK: Final = _Times("first_chunk_index", "first_chunk_ms", "first_chunk_us", "first_chunk_us IS NOT NULL")


_SOURCE: Final = f"ifNull(cost_source, '{UNSAID_SOURCE}')"
_MODEL: Final = ("model", "version")
_ALL_SUMS: Final = ", ".join((*_SUMS.values(), _ends(_LATENCY), _ends(_FIRST_CHUNK)))


def _named_provider() -> str:
    """Return the SQL of `provider_of()`: the first prefix decides that no longer word goes on from."""
    branches = []
    for prefix, provider in PROVIDER_BY_MODEL_PREFIX:
        pattern = re.escape(prefix).replace("\\", "\\\\") + ("([^[:alnum:]]|$)" if prefix[-1].isalnum() else "")
        branches.append(f"match(lower(model), '^{pattern}'), '{provider}'")
    return f"multiIf({', '.join(branches)}, '{OTHER}')"


_TOLD_PROVIDER: Final = "JSONExtractString(extra, 'provider')"
_GROUPED_BY: Final[Mapping[GroupBy | None, tuple[str, ...]]] = {
    None: (),
    "model": ("model",),
    "version": _MODEL,
    "provider": (f"if({_TOLD_PROVIDER} != '', {_TOLD_PROVIDER}, {_named_provider()})",),
    "service": ("service",),
}


class ClickHouseModelQuestions:
    """Satisfies `otel_measure.store.model_questions.StoredModels`.

    Args:
        database: of the store.
        calls: that answers are about.
        told: the same questions of calls that others told of, and of models; answered by the replica.
        changes: of the calls.
    """

    def __init__(
        self, database: ClickHouseDatabase, calls: CallTable, told: StoredModels, changes: CallPartChanges
    ) -> None:
        self.environment = calls.environment
        self._database = database
        self._calls = calls
        self._told = told
        self._changes = changes

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions uses are counted: facts by those of now, what others told as it was counted."""
        return self._told.counted_by(start, end)

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""
        return self._told.models(only)

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), widened to whole minutes, sorted by name and version."""
        start, end = start - start % MINUTE_US, end + -end % MINUTE_US
        uses = self._uses(self._calls.chosen(start, end, only), _MODEL)
        for (model, version), use in uses.items():
            use.model, use.version = model, version
        for told in self._told.model_use(start, end, only):
            _add(uses, (told.model, told.version), told)
        return [uses[key] for key in sorted(uses)]

    def use_by_step(
        self,
        steps: Steps,
        by: GroupBy | None = None,
        only: ModelChoice = ALL_MODELS,
        apart: Collection[GroupKey] | None = None,
    ) -> dict[GroupKey, dict[int, ModelUse]]:
        """Return what each group of models did in each step; steps without a call are left out."""
        columns = _GROUPED_BY[by]
        calls = self._in_steps(steps, only)
        if apart is not None and columns:
            group = f"[{', '.join(f'toString({column})' for column in columns)}]"
            columns = (f"if(has({{apart:Array(Array(String))}}, {group}), {group}, [])",)
            calls = calls.with_parameters(apart=[list(each) for each in sorted(apart)])
        groups: dict[GroupKey, dict[int, ModelUse]] = {}
        for (*key, edge), use in self._uses(calls, (*columns, _STEP)).items():
            group_key = tuple(key) if apart is None else tuple(*key)
            groups.setdefault(group_key, {})[steps.step_of(edge)] = use
        for group_key, by_step in self._told.use_by_step(steps, by, only, apart).items():
            in_group = groups.setdefault(group_key, {})
            for step, told in by_step.items():
                _add(in_group, step, told)
        return groups

    def requests_by_step(self, steps: Steps, by: GroupBy, only: ModelChoice) -> dict[int, dict[GroupKey, int]]:
        """Return how many calls each group had in each step, of which a group has the same key in each."""
        requests = {step: dict(groups) for step, groups in self._told.requests_by_step(steps, by, only).items()}
        keys: dict[GroupKey, GroupKey] = {key: key for groups in requests.values() for key in groups}
        for *group, edge, n in self._rows((*_GROUPED_BY[by], _STEP), "count()", self._in_steps(steps, only)):
            key = keys.setdefault(tuple(group), tuple(group))
            in_step = requests.setdefault(steps.step_of(edge), {})
            in_step[key] = in_step.get(key, 0) + n
        return requests

    def changes(self, since: int | None) -> CallChanges | None:
        """Return what changed since a change: of the facts until now, of what others told as of the moment."""
        facts_since, told_since = (None, None) if since is None else divmod(since, _TOLD_CHANGES)
        facts, told = self._changes.changes(facts_since), self._told.changes(told_since)
        if told is None:
            return None
        is_known = facts.slots is not None and told.slots is not None
        slots = sorted({*(facts.slots or ()), *(told.slots or ())}) if is_known else None
        return CallChanges(facts.last * _TOLD_CHANGES + told.last, slots)

    def _in_steps(self, steps: Steps, only: ModelChoice) -> ChosenCalls:
        """Return the calls of the steps that are to be read."""
        calls = self._calls.chosen(steps.edges[0], steps.edges[-1], only).with_parameters(edges=list(steps.edges[:-1]))
        if steps.asked is None:
            return calls
        asked = [steps.edges[step] for step in sorted(steps.asked)]
        return calls.that(f"has({{asked:Array(Int64)}}, {_STEP})").with_parameters(asked=asked)

    def _uses(self, calls: ChosenCalls, keys: Sequence[str]) -> dict[_Key, ModelUse]:
        """Return what calls add up to that have the same keys; the uses name no model."""
        uses = dict[_Key, ModelUse]()
        latencies, first_chunks = dict[_Key, _Ends](), dict[_Key, _Ends]()
        columns, read = _grouped(keys, by_source=True)
        for row in self._rows(columns, _ALL_SUMS, calls):
            (key, source), wholes = read(row[: len(columns)]), row[len(columns) :]
            use = uses.setdefault(key, ModelUse("", "", latency=ExponentialHistogram()))
            sums = dict(zip(_SUMS, wholes[: len(_SUMS)], strict=True))
            for name, whole in sums.items():
                setattr(use, name, min(getattr(use, name) + whole, LARGEST))
            if sums["priced"]:
                use.sources[source] = sums["priced"]
            if sums["cost_nano_usd"]:  # as sums of several cells have it
                use.sources_nano_usd[source] = sums["cost_nano_usd"]
            latencies[key] = _Ends(*wholes[len(_SUMS) : -len(_Ends._fields)]).joined(latencies.get(key))
            first_chunks[key] = _Ends(*wholes[-len(_Ends._fields) :]).joined(first_chunks.get(key))
        for each, histogram in self._histograms(_LATENCY, latencies, calls, keys).items():
            uses[each].latency = histogram
        for each, histogram in self._histograms(_FIRST_CHUNK, first_chunks, calls, keys).items():
            uses[each].first_chunk = histogram
        return uses

    def _histograms(
        self, times: _Times, ends: Mapping[_Key, _Ends], calls: ChosenCalls, keys: Sequence[str]
    ) -> dict[_Key, ExponentialHistogram]:
        """Return the histogram of each group of calls that has any of these times."""
        timed = {key: each for key, each in ends.items() if each.known}
        if not timed:
            return {}
        shift = min(_shift(latency_index(each.smallest), latency_index(each.largest)) for each in timed.values())
        columns, read = _grouped(keys, by_source=False)
        names = ", ".join(f"key_{i}" for i in range(len(columns)))
        named = ", ".join(f"{column} AS key_{i}" for i, column in enumerate(columns))
        source = calls.that(times.known)
        rows = self._database.rows(
            f"SELECT {names}, groupArray(bucket), groupArray(calls) FROM (SELECT {named},"
            f" bitShiftRight({times.bucket}, {shift:d}) AS bucket, count() AS calls {source.source}"
            f" GROUP BY {names}, bucket) GROUP BY {names}",
            **source.parameters,
        )
        counts: dict[_Key, Counter[int]] = {}
        for *each, buckets, n in rows:
            counts.setdefault(read(each)[0], Counter()).update(dict(zip(buckets, n, strict=True)))
        return {
            key: histogram_of(counts[key], each.smallest, each.largest, each.units, shift=shift)
            for key, each in timed.items()
            if key in counts  # of a removal between the two readings nothing is left
        }

    def _rows(self, keys: Sequence[str], columns: str, calls: ChosenCalls) -> Sequence[Sequence[Any]]:
        """Return some columns of calls that have the same keys, with these before them."""
        groups = ", ".join(map(str, range(1, len(keys) + 1)))
        return self._database.rows(
            f"SELECT {', '.join(keys)}, {columns} {calls.source} GROUP BY {groups}", **calls.parameters
        )


def histogram_of(
    counts: Mapping[int, int], smallest: float, largest: float, units: int, *, shift: int = 0
) -> ExponentialHistogram:
    """Return the histogram of times, given by buckets that are coarser than the finest by a shift.

    Args:
        counts: how many times are in each bucket.
        smallest: of the times, milliseconds.
        largest: likewise.
        units: the sum of all, microseconds.
        shift: how often buckets were joined with their neighbours.
    """
    return ExponentialHistogram.from_bytes(
        histogram_bytes.write(MAX_SCALE - shift, units, smallest + 0.0, largest + 0.0, counts)
    )


def _grouped(keys: Sequence[str], *, by_source: bool) -> tuple[Sequence[str], _Read]:
    """Return the columns by which calls are grouped, and what reads the key and the source of costs off them.

    The name and the version of a model are one column with the source, by which rows are grouped in half the time.

    Args:
        keys: what calls of a group have in common.
        by_source: calls whose costs are told by others are another group.
    """
    if tuple(keys[:2]) == _MODEL:
        return ("labels", *keys[2:]), _of_labels
    if by_source:
        return (*keys, _SOURCE), lambda values: (tuple(map(_hashable, values[:-1])), values[-1])
    return keys, lambda values: (tuple(map(_hashable, values)), "")


def _of_labels(values: Sequence[Any]) -> tuple[_Key, str]:
    model, version, source = msgspec.json.decode(values[0])
    return (model, version, *values[1:]), source


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _add(uses: dict[_K, ModelUse], key: _K, told: ModelUse) -> None:
    """Add what others told of calls; their uses stay as they are, for the replica keeps them."""
    if key in uses:
        uses[key].add(told)
    else:
        uses[key] = told


def _shift(first: int, last: int) -> int:
    """Return by how much the buckets of a histogram are coarser than the finest, by its outer ones."""
    shift = 0
    while (last >> shift) - (first >> shift) >= MAX_SIZE:
        shift += 1
    return shift
