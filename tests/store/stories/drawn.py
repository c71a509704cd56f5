"""What a story is made of, drawn at times before its end: facts of every kind, tellings, points of streams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
from hypothesis import strategies as st

from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import (
    AbConversion,
    EvaluationResult,
    Exposure,
    GroundTruth,
    Maintenance,
    Origin,
    Record,
    ServiceState,
)
from otel_measure.store.types.experiments import Experiment
from tests.facts import DAY, HOUR, MINUTE, SECOND, inference
from tests.store.conformance.telling import agent, told, tool
from tests.store.conformance.test_received import calls, tokens
from tests.store.conformance.test_streams import histogram, point

ENVIRONMENT: Final = "test"
TEST: Final = Experiment("t", "A test", ("a", "b"), (0.5, 0.5), 1.0)
SERVICES: Final = ("db", "web")
_USERS: Final = ("u1", "u2", "u3", "a1", "a2")
USER: Final = st.sampled_from(_USERS)
# How long before the end of its story something happened.
AGO: Final = st.sampled_from((0, 1, MINUTE, HOUR - 1, HOUR, 3 * HOUR, DAY, 3 * DAY, 20 * DAY))
_ORIGIN: Final = st.builds(Origin, st.sampled_from(("shop", "api")), st.sampled_from((ENVIRONMENT,) * 4 + ("staging",)))
_VALUE: Final = st.sampled_from(("cat", "dog", True, 0, 1, 0.5, -2.5, 1e200))
_COUNT: Final = st.none() | st.integers(0, 10**6)
_VERSION: Final = st.sampled_from(("1", "2"))


def _fact(kind: Any, **fields: Any) -> st.SearchStrategy[Any]:
    """Return facts of a kind, without an id and at a time before the end of the story."""
    return st.builds(kind, id=st.just(""), ts=AGO, origin=_ORIGIN, **fields)


_CALL: Final = _fact(
    inference,
    model=st.sampled_from(("m", "n")),
    version=_VERSION,
    latency_ms=st.sampled_from((0.0, 0.2, 3.3, 100.0, 812.5, 3.6e6)),
    untimed=st.sampled_from((False, False, True)),
    input_tokens=_COUNT,
    output_tokens=_COUNT,
    cached_input_tokens=_COUNT,
    cost_usd=st.none() | st.sampled_from((0.0, 1e-9, 0.1, 12.345678901)),
    cost_source=st.sampled_from((None, "table", "caller")),
    error_type=st.sampled_from((None, None, "Timeout")),
    time_to_first_chunk_ms=st.none() | st.sampled_from((0.5, 40.0)),
    user_id=st.none() | USER,
    repository=st.sampled_from((None, "github.com/acme/shop")),
    prediction=st.none() | _VALUE,
    features=st.none() | st.dictionaries(st.sampled_from("xy"), st.sampled_from((1, 0.5, "red", 10**30)), max_size=2),
    provider=st.sampled_from((None, "openai", "acme")),
    trace_id=st.sampled_from((None, "0" * 31 + "1", "0" * 31 + "2")),
    groups=st.none() | st.just({"sex": "f"}) | st.just({"sex": "m", "age": "60+"}),
)
_TRUTH: Final = _fact(GroundTruth, inference_id=st.just(""), value=_VALUE)
_EVALUATION: Final = _fact(
    EvaluationResult, name=st.just("tone"), model=st.just("m"), version=_VERSION,
    score=st.none() | st.sampled_from((0.1, 0.7, 1.0)), label=st.sampled_from((None, "good", "bad")),
)  # fmt: skip
_EXPOSURE: Final = _fact(Exposure, user_id=USER, experiment=st.just(TEST.key), variant=st.sampled_from("ab"))
_CONVERSION: Final = _fact(AbConversion, user_id=USER, experiment=st.just(TEST.key), client_clock=st.booleans())
_SERVICE: Final = st.sampled_from(SERVICES)
_STATE: Final = _fact(ServiceState, service=_SERVICE, state=st.sampled_from(("up", "down", "down")))
_MAINTENANCE: Final = _fact(
    Maintenance, service=_SERVICE, start_us=AGO, end_us=st.sampled_from((MINUTE, HOUR, 3 * HOUR)),
    reason=st.none() | st.just("upgrade"),
)  # fmt: skip
_OTHERS: Final = st.lists(
    _CALL | _CALL | _CALL | _TRUTH | _EVALUATION | _EXPOSURE | _CONVERSION | _STATE | _MAINTENANCE,
    min_size=6,
    max_size=30,
)


@st.composite
def others(draw: st.DrawFn, now: int) -> list[Record]:
    """Facts of all kinds but what users do, of a story that ends now."""
    return [_placed(each, n, now) for n, each in enumerate(draw(_OTHERS))]


def id_of(n: int) -> str:
    """Return the id of the nth of them: a third are UUIDs, which are stored in another way."""
    return f"o{n:02}" if n % 3 else f"{n * 7919 % 997:08x}-0000-4000-8000-{n:012x}"


def _placed(each: Any, n: int, now: int) -> Record:
    """Return what was drawn under an id and of its time: a truth is of a call before it."""
    fields: dict[str, object] = {"id": id_of(n), "ts": max(now - each.ts, 0)}
    if isinstance(each, GroundTruth):
        fields["inference_id"] = id_of(max(n - 1 - each.ts % 3, 0))
    if isinstance(each, Maintenance):
        fields |= {"start_us": now - each.start_us, "end_us": now - each.start_us + each.end_us}
    placed: Record = msgspec.structs.replace(each, **fields)
    return placed


# ---------------------------------------------------------------- what others tell


class _Span(NamedTuple):
    """A span or fact of a trace, of which `n` tells it from others."""

    kind: str
    n: int
    parent: int | None
    trace: int
    instance: str
    ago: int
    fails: bool
    scope: str


_SPAN: Final = st.builds(
    _Span, kind=st.sampled_from(("call", "call", "fact", "recorded", "agent", "tool")), n=st.integers(1, 5),
    parent=st.none() | st.integers(1, 4), trace=st.integers(0, 2), instance=st.sampled_from(("1", "2")),
    ago=st.sampled_from((0, MINUTE, HOUR, 3 * HOUR, DAY)), fails=st.sampled_from((False, False, True)),
    scope=st.sampled_from(("client", "framework")),
)  # fmt: skip
_SPANS: Final = st.lists(_SPAN, min_size=3, max_size=8)


@st.composite
def tellings(draw: st.DrawFn, now: int) -> list[Telling]:
    """Spans and facts around the same few calls, as several tell of them; some calls are recorded as well."""
    return [_telling(each, now) for each in draw(_SPANS)]


def _telling(each: _Span, now: int) -> Telling:
    parent = each.parent if each.parent is None or each.parent < each.n else None
    place: dict[str, Any] = {"trace": each.trace or 1, "parent": parent, "instance": each.instance}
    place |= {"began": now - each.ago - SECOND}
    error_type = "Timeout" if each.fails else None
    if each.kind == "agent":
        found = agent(each.n, user=_USERS[each.n % 3], error_type=error_type, environment=ENVIRONMENT, **place)
    elif each.kind == "tool":
        found = tool(each.n, arguments="{}", error_type=error_type, **place)
    else:
        is_call = each.kind == "call"
        place["trace"] = each.trace or int(is_call)
        found = told(
            each.n, kind="call" if is_call else "fact", scope=each.scope, error_type=error_type,
            response=f"response-{each.n}", user_id=_USERS[each.n % 3], **place,
        )  # fmt: skip
    record = found.record
    if record is not None:
        of = {"id": id_of(each.n)} if each.kind == "recorded" else {}
        record = msgspec.structs.replace(record, origin=Origin("shop", ENVIRONMENT), **of)
    step = found.step and msgspec.structs.replace(found.step, origin=Origin("shop", ENVIRONMENT))
    return found._replace(record=record, step=step)


# ---------------------------------------------------------------- streams


class _StreamValue(NamedTuple):
    """The value of a stream, of which `instance` and `start` tell it from others of its kind."""

    kind: str
    value: int
    ago: int
    start: int
    instance: str
    fails: bool


_STARTLESS: Final = "c"
"""The process that says of none of its streams when it began."""
_STREAM_KINDS: Final = ("calls", "calls", "delta calls", "tokens", "counter", "delta", "gauge", "host", "histogram")
_VALUES: Final = st.lists(
    st.builds(
        _StreamValue, kind=st.sampled_from(_STREAM_KINDS), value=st.integers(0, 9),
        ago=st.sampled_from((0, 1, SECOND, MINUTE, 30 * MINUTE, 2 * HOUR)),
        start=st.sampled_from((3 * HOUR, 3 * HOUR, 10 * MINUTE)), instance=st.sampled_from(("a", "a", "b", _STARTLESS)),
        fails=st.sampled_from((False, False, True)),
    ),
    min_size=4,
    max_size=12,
)  # fmt: skip


@st.composite
def points(draw: st.DrawFn, now: int) -> list[Point]:
    """Values of a few streams: cumulative and deltas, late and again, of processes that begin anew, and gauges."""
    return [replace(_point(each, now), received_ts=now) for each in draw(_VALUES)]


def _point(each: _StreamValue, now: int) -> Point:
    ts, start = now - each.ago, now - each.start if each.instance != _STARTLESS else 0
    if each.kind in ("calls", "delta calls"):
        found = calls(each.value, ts, source=each.instance, start=start)
        failed = found.model_series and found.model_series._replace(error_type="Timeout")
        if each.fails and failed:
            found = replace(found, model_series=failed, labels=f"{found.labels},e=1")
        return found if each.kind == "calls" else _delta(found)
    if each.kind == "tokens":
        return tokens(each.value, 100.0 * each.value, ts=ts, source=each.instance, start=start)
    if each.kind == "histogram":
        return histogram((each.value, 1, 0), ts=ts, start=start, instance=each.instance)
    if each.kind in ("gauge", "host"):
        name, scope = ("queue", "instance") if each.kind == "gauge" else ("system.load", "host")
        return point(
            each.value / 4, ts, name=name, kind="gauge", unit="1", scope=scope, instance=each.instance, start=0
        )
    counter = point(float(each.value), ts, start=start, instance=each.instance)
    return counter if each.kind == "counter" else _delta(counter)


def _delta(found: Point) -> Point:
    """Return a value as what a stream of another process grew by in the minute before."""
    return replace(found, delta=True, start=found.ts - MINUTE, instance=f"{found.instance}-delta", labels='d="1"')
