"""Which spans, facts and events tell of one call of a model, and what they say of it together.

- Of GenAI spans inside one another, however many plain spans lie between, the inner ones are the calls where their
  operation is of the same kind. A span of a tool, an agent or another kind of operation between them separates them.
- A fact and a GenAI span are the same call when the span was the current one when the fact was recorded, or lies inside
  the block that the fact measured, and their models are tied. Two facts are never the same call.
- Spans that are not nested are the same call when they say the same id of the response, their times overlap, their
  models are tied, no count that both know differs, and they come from different scopes or processes.
- A span that the SDK of a provider sends of its own lies inside the span of an instrumentation of that SDK, also where
  neither names the other as its parent (`beside_sdks.py`). Of one response their counts may differ.

All of it is a function of the set of what is told about one trace or one response, so that no order matters.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.beside_sdks import are_beside, spans_around
from otel_measure.definitions.circles import first_of_circles
from otel_measure.definitions.completing import OF_ALL, OF_ONE, completed, with_sums
from otel_measure.definitions.model_ties import ModelNames, are_tied, names_of
from otel_measure.definitions.tellings import SpanKey, Telling
from otel_measure.records.kinds import Inference, with_fields

OVERLAP_US: Final = 2_000_000
"""How far the times of two spans of one response may lie apart."""
MOST_OF_A_RESPONSE: Final = 32
"""An id that more calls say at a time tells nothing: its server does not mean one answer by it."""
_MOST_AROUND: Final = 100  # spans of calls around a call that complete it: no framework has as many
_CLOCK_US: Final = 50_000  # how far a span inside a measured block may reach beyond it: two clocks are read


class SameCall(NamedTuple):
    """One call, and who tells of it.

    Attributes:
        record: what they say together.
        process: whose numbers they are.
        told_by: the ids of the tellings, sorted.
        singles: of each process that tells of it, the record by which that process's metrics know it.
    """

    record: Inference
    process: str
    told_by: tuple[str, ...]
    singles: tuple[tuple[str, Inference], ...]


AreTied: TypeAlias = Callable[[ModelNames, ModelNames], bool]


def same_calls(tellings: Iterable[Telling], tied: AreTied = are_tied) -> list[SameCall]:
    """Return the calls that tellings of one or several traces tell of, sorted by id."""
    told = sorted(tellings, key=lambda each: (each.trace_id, each.span_id, each.kind, each.id))
    spans = {each.key: each for each in told if each.kind != "fact"}
    calls = {key: each for key, each in spans.items() if each.kind == "call"}
    # Of the calls that stand in another one, that one.
    outer = {key: around for key, each in calls.items() if (around := _outer(each, spans)) is not None}
    outer |= spans_around(calls.values(), {each.key for each in outer.values()})
    # Whoever sends spans in a circle made a call all the same.
    for key in first_of_circles({key: each.key for key, each in outer.items()}):
        del outer[key]
    inside = Counter(each.key for each in outer.values())
    groups = [_CallGroup([span], _wrapping(key, outer)) for key, span in calls.items() if key not in inside]
    facts = [each for each in told if each.kind == "fact"]
    groups = _with_facts(groups, facts, spans, tied)
    groups = _by_response(groups, tied)
    return sorted((_call(group, inside) for group in groups), key=lambda call: call.record.id)


class _CallGroup:
    """Tellings of one call: the innermost spans, the spans around them (the nearest first), and the fact."""

    def __init__(self, inner: list[Telling], around: list[Telling], fact: Telling | None = None) -> None:
        self.inner = inner
        self.around = around
        self.fact = fact

    @property
    def told(self) -> list[Telling]:
        return [*([self.fact] if self.fact else []), *self.inner, *self.around]


def _outer(call: Telling, spans: Mapping[SpanKey, Telling]) -> Telling | None:
    """Return the call around a call, of the same kind of operation and with plain spans alone between."""
    for above in _above(call, spans):
        if above.kind == "call":
            return above if above.operation == call.operation else None
        if above.kind == "other":
            return None
    return None


def _above(telling: Telling, spans: Mapping[SpanKey, Telling]) -> Iterator[Telling]:
    """Yield the known spans around a span, the nearest first."""
    seen = {telling.key}
    at: Telling | None = telling
    while at is not None and at.parent_id is not None:
        key = (at.trace_id, at.parent_id)
        if key in seen:  # spans in a circle
            return
        seen.add(key)
        at = spans.get(key)
        if at is not None:
            yield at


def _wrapping(call: SpanKey, outer: Mapping[SpanKey, Telling]) -> list[Telling]:
    around: list[Telling] = []
    at = outer.get(call)
    while at is not None and len(around) < _MOST_AROUND:
        around.append(at)
        at = outer.get(at.key)
    return around


# ---------------------------------------------------------------- facts


def _with_facts(
    groups: Sequence[_CallGroup], facts: Sequence[Telling], spans: Mapping[SpanKey, Telling], tied: AreTied
) -> list[_CallGroup]:
    """Return the groups with each fact joined to the spans of its call; a fact of no span is a group of its own."""
    if not facts:
        return list(groups)
    by_span: dict[SpanKey, list[Telling]] = defaultdict(list)
    for fact in facts:
        if fact.span_id:
            by_span[fact.key].append(fact)
    of_fact: dict[str, _CallGroup] = {fact.id: _CallGroup([], [], fact) for fact in facts}
    kept = []
    for group in groups:
        its_fact = _fact_of(group, by_span, spans, tied)
        if its_fact is None:
            kept.append(group)
            continue
        whole = of_fact[its_fact.id]
        whole.inner += group.inner
        known = {each.id for each in whole.around}
        whole.around += [each for each in group.around if each.id not in known]
    return [*kept, *of_fact.values()]


def _fact_of(
    group: _CallGroup, by_span: Mapping[SpanKey, Sequence[Telling]], spans: Mapping[SpanKey, Telling], tied: AreTied
) -> Telling | None:
    """Return the fact that tells of the call of a group: the one whose block is the smallest around it."""
    span = group.inner[0]
    candidates = [
        fact for each in (span, *group.around) for fact in by_span.get(each.key, ()) if _is_tied(fact, span, tied)
    ]
    passed = {span.key, *(each.key for each in group.around)}
    for key in _keys_above(span, spans):
        if key in passed:
            continue
        above = spans.get(key)
        if above is not None and above.kind != "plain":
            break
        candidates += [fact for fact in by_span.get(key, ()) if _is_inside(span, fact) and _is_tied(fact, span, tied)]
    return min(candidates, key=lambda fact: (_latency_us(fact), fact.id)) if candidates else None


def _keys_above(telling: Telling, spans: Mapping[SpanKey, Telling]) -> Iterator[SpanKey]:
    """Yield the spans around a span, the last one known by its id alone."""
    last = telling
    for above in _above(telling, spans):
        yield above.key
        last = above
    if last.parent_id is not None and (last.trace_id, last.parent_id) not in spans:
        yield (last.trace_id, last.parent_id)


def _is_tied(one: Telling, other: Telling, tied: AreTied) -> bool:
    return one.record is not None and other.record is not None and tied(names_of(one.record), names_of(other.record))


def _is_inside(span: Telling, fact: Telling) -> bool:
    if span.record is None or fact.record is None:
        return False
    return span.record.ts <= fact.record.ts + _CLOCK_US and _start_us(span.record) >= _start_us(fact.record) - _CLOCK_US


def _start_us(record: Inference) -> int:
    return record.ts - round(record.latency_ms * 1000)


def _latency_us(telling: Telling) -> int:
    return round(telling.record.latency_ms * 1000) if telling.record is not None else 0


# ---------------------------------------------------------------- responses


def _by_response(groups: Sequence[_CallGroup], tied: AreTied) -> list[_CallGroup]:
    """Join groups that tell of one response, the closest in time first; each scope of a process tells a call once."""
    by_id: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        for response_id in sorted({each.response_id for each in group.inner if each.response_id}):
            by_id[response_id].append(i)
    pairs = sorted(
        (_distance_us(groups[i], groups[j]), i, j)
        for members in by_id.values()
        if len(members) <= MOST_OF_A_RESPONSE
        for i, j in combinations(members, 2)
        if _may_be_one(groups[i], groups[j], tied)
    )
    joined: dict[int, int] = {}

    def root(i: int) -> int:
        while i in joined:
            i = joined[i]
        return i

    whole = list(groups)
    for _, i, j in pairs:
        a, b = sorted((root(i), root(j)))
        if a == b or not _may_be_one(whole[a], whole[b], tied):
            continue
        whole[a] = _CallGroup(
            [*whole[a].inner, *whole[b].inner],
            [*whole[a].around, *whole[b].around],
            whole[a].fact or whole[b].fact,
        )
        joined[b] = a
    return [group for i, group in enumerate(whole) if i not in joined]


def _may_be_one(one: _CallGroup, other: _CallGroup, tied: AreTied) -> bool:
    if one.fact is not None and other.fact is not None:
        return False
    tellers = {(each.process, each.scope) for each in one.inner}
    if any((each.process, each.scope) in tellers for each in other.inner):
        return False
    return all(_agree(a, b, tied) for a in one.inner for b in other.inner)


def _agree(one: Telling, other: Telling, tied: AreTied) -> bool:
    a, b = one.record, other.record
    if a is None or b is None or not tied(names_of(a), names_of(b)):
        return False
    if a.ts < _start_us(b) - OVERLAP_US or b.ts < _start_us(a) - OVERLAP_US:
        return False
    return are_beside(one, other) or all(
        ours is None or theirs is None or ours == theirs
        for ours, theirs in ((a.input_tokens, b.input_tokens), (a.output_tokens, b.output_tokens))
    )


def _distance_us(one: _CallGroup, other: _CallGroup) -> int:
    return min(
        abs(a.record.ts - b.record.ts) + abs(_start_us(a.record) - _start_us(b.record))
        for a in one.inner
        for b in other.inner
        if a.record is not None and b.record is not None
    )


# ---------------------------------------------------------------- what they say together


def _call(group: _CallGroup, inside: Mapping[SpanKey, int]) -> SameCall:
    if len(told := group.told) == 1 and (record := told[0].record) is not None:
        return SameCall(record, told[0].process, (record.id,), ((told[0].process, record),))
    inner = sorted(group.inner, key=lambda each: (_latency_us(each), each.id))
    around_several = {wrapper.key for wrapper in group.around if inside[wrapper.key] > 1}
    base = group.fact or inner[0]
    record = base.record
    assert record is not None
    whole = len(inner) == 1 or group.fact is None
    for each in (*inner, *group.around):
        if each is base or each.record is None:
            continue
        fields = OF_ALL if each.key in around_several or (group.fact is not None and not whole) else (*OF_ALL, *OF_ONE)
        record = completed(record, each.record, fields)
    if group.fact is not None and not whole:
        record = with_sums(record, [each.record for each in inner if each.record is not None])
    record = _asked_by(record, group)
    return SameCall(record, base.process, tuple(sorted(each.id for each in group.told)), tuple(_singles(group)))


def _asked_by(record: Inference, group: _CallGroup) -> Inference:
    """Return a call as that of the service which asked: of several that tell of it, the outermost."""
    asking = max(
        (each.record for each in group.told if each.record is not None),
        key=lambda each: (each.ts - _start_us(each), each.id),
    )
    return record if asking.origin == record.origin else with_fields(record, origin=asking.origin)


def _singles(group: _CallGroup) -> Iterator[tuple[str, Inference]]:
    """Yield for each process the record by which its metrics know the call: its innermost."""
    innermost: dict[str, Telling] = {}
    for each in sorted(group.told, key=lambda told: (-_latency_us(told), told.id)):
        innermost[each.process] = each
    for process, each in sorted(innermost.items()):
        if each.record is not None:
            yield process, each.record
