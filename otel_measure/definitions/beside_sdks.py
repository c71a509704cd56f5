"""Spans that the SDK of a provider sends of its own, beside those that an instrumentation of that SDK sends.

An instrumentation wraps methods of its SDK, so it tells of no call that the SDK does not tell of, and the span of the
SDK begins inside its span. Some do not make their span the current one. Then nothing else says that both are one call:
a failed call has no id of a response, and the tokens of a stream are counted differently.

Of spans of both under one parent that say alike, as many are one call as can be matched one to one. With each call told
of by its SDK that is the number of calls, however many run at once. Of spans without a parent, each in a trace of its
own, the id of the response alone is compared: a sampler may keep the one of this call and the other one of that call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final, TypeAlias

from otel_measure.conventions.dialects import SDK_OF_INSTRUMENTATION, sdk_of
from otel_measure.definitions.matching import greatest_matching
from otel_measure.definitions.tellings import SpanKey, Telling

_ROUNDING_US: Final = 2  # by what times of one clock may differ: an end in microseconds less a length in microseconds
_Said: TypeAlias = tuple[str | int | bool | None, ...]


def spans_around(calls: Iterable[Telling], wrappers: Container[SpanKey]) -> dict[SpanKey, Telling]:
    """Return the spans of instrumentations around spans of their SDKs that are not those of their parents.

    Of several instrumentations of one SDK each is around the one before, in order of their scopes.

    Args:
        calls: spans of calls.
        wrappers: those of which a span that they are the parent of is the call.
    """
    of_sdk: dict[str, list[Telling]] = defaultdict(list)
    of_instrumentation: dict[str, list[Telling]] = defaultdict(list)
    for call in calls:
        if call.parent_id is None:
            continue
        scope = _scope(call)
        if (sdk := sdk_of(scope)) is not None:
            of_sdk[sdk].append(call)
        elif scope in SDK_OF_INSTRUMENTATION and call.key not in wrappers:
            of_instrumentation[scope].append(call)
    around: dict[SpanKey, Telling] = {}
    for scope in sorted(of_instrumentation) if of_sdk else ():
        for key, span in _matched(of_sdk[SDK_OF_INSTRUMENTATION[scope]], of_instrumentation[scope]).items():
            inner = key
            while inner in around:
                inner = around[inner].key
            around[inner] = span
    return around


def are_beside(one: Telling, other: Telling) -> bool:
    """Tell whether one span is of an SDK, and the other one of an instrumentation of it in the same process."""
    return one.process == other.process and any(
        (sdk := sdk_of(_scope(a))) is not None and SDK_OF_INSTRUMENTATION.get(_scope(b)) == sdk
        for a, b in ((one, other), (other, one))
    )


def is_beside_others(call: Telling) -> bool:
    """Tell whether a span is one that may stand beside another one of the same call."""
    return sdk_of(_scope(call)) is not None or _scope(call) in SDK_OF_INSTRUMENTATION


def _scope(call: Telling) -> str:
    return call.scope.partition("/")[0]


def _matched(inner: Sequence[Telling], outer: Sequence[Telling]) -> dict[SpanKey, Telling]:
    """Return the span of an instrumentation for each span of its SDK; what names its response is that response's."""
    around = _pairs(inner, [each for each in outer if each.response_id is not None], _response_said)
    rest = [each for each in inner if each.key not in around]
    return around | _pairs(rest, [each for each in outer if each.response_id is None], _outcome_said)


def _pairs(
    inner: Iterable[Telling], outer: Iterable[Telling], said: Callable[[Telling], _Said]
) -> dict[SpanKey, Telling]:
    spans = {each.key: each for each in outer}
    began: dict[_Said, list[tuple[int, SpanKey]]] = defaultdict(list)
    lasted: dict[_Said, list[tuple[int, int, SpanKey]]] = defaultdict(list)
    for each in inner:
        began[said(each)].append((each.began_us, each.key))
    for each in spans.values():
        lasted[said(each)].append((each.began_us - _ROUNDING_US, each.ended_us, each.key))
    return {
        inner_key: spans[outer_key]
        for alike, intervals in lasted.items()
        for inner_key, outer_key in greatest_matching(began[alike], intervals)
    }


def _response_said(call: Telling) -> _Said:
    return (*_asked(call), call.response_id)


def _outcome_said(call: Telling) -> _Said:
    record = call.record
    if record is None:
        return _asked(call)
    return (*_asked(call), record.error_type is not None, record.input_tokens, record.output_tokens)


def _asked(call: Telling) -> _Said:
    model = call.record.model if call.record is not None else None
    return (call.trace_id, call.parent_id, call.process, call.operation, model)
