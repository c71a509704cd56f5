"""Random stories for any store: facts of many kinds and who is who, in any order, late, again and changed; its reports.

A story is told step by step to stores that must answer alike. What is told after a step of it depends on nothing but
the steps, so a batch may be told again when nobody knows whether it arrived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from hypothesis import strategies as st

from exporter.http.envelope import success
from otel_measure.errors import MeasureError
from otel_measure.records.kinds import AbConversion, EvaluationResult, Exposure, GroundTruth, Origin, Record
from otel_measure.runtime import Runtime
from otel_measure.store.protocol import Store
from otel_measure.store.types.experiments import Experiment
from tests.facts import DAY, HOUR, MINUTE, inference
from tests.reference.ground import Identify, Unlink
from tests.reference.strategies import histories, identities
from tests.users.feeding import received_in, record

ENVIRONMENT: Final = "test"
TEST: Final = Experiment("t", "A test", ("a", "b"), (0.5, 0.5), 1.0)
MODELS: Final = (("m", "1"), ("m", "2"), ("n", "1"))
_USER: Final = st.sampled_from(("u1", "u2", "u3", "a1", "a2"))
# How long before the end of its story something happened.
_AGO: Final = st.sampled_from((0, 1, MINUTE, HOUR - 1, HOUR, 3 * HOUR, DAY, 3 * DAY, 20 * DAY))
_ORIGIN: Final = st.builds(Origin, st.sampled_from(("shop", "api")), st.sampled_from((ENVIRONMENT,) * 4 + ("staging",)))
_VALUE: Final = st.sampled_from(("cat", "dog", True, 0, 1, 0.5, -2.5, 1e200))
_COUNT: Final = st.none() | st.integers(0, 10**6)
_CALL: Final = st.builds(
    inference,
    id=st.just(""),
    ts=_AGO,
    origin=_ORIGIN,
    model=st.sampled_from(("m", "n")),
    version=st.sampled_from(("1", "2")),
    latency_ms=st.sampled_from((0.0, 0.2, 3.3, 100.0, 812.5, 3.6e6)),
    untimed=st.sampled_from((False, False, True)),
    input_tokens=_COUNT,
    output_tokens=_COUNT,
    cached_input_tokens=_COUNT,
    cost_usd=st.none() | st.sampled_from((0.0, 1e-9, 0.1, 12.345678901)),
    cost_source=st.sampled_from((None, "table", "caller")),
    error_type=st.sampled_from((None, None, "Timeout")),
    time_to_first_chunk_ms=st.none() | st.sampled_from((0.5, 40.0)),
    user_id=st.none() | _USER,
    repository=st.sampled_from((None, "github.com/acme/shop")),
    prediction=st.none() | _VALUE,
    features=st.none() | st.dictionaries(st.sampled_from("xy"), st.sampled_from((1, 0.5, "red", 10**30)), max_size=2),
    provider=st.sampled_from((None, "openai", "acme")),
    trace_id=st.sampled_from((None, "0" * 31 + "1", "0" * 31 + "2")),
    groups=st.none() | st.just({"sex": "f"}) | st.just({"sex": "m", "age": "60+"}),
)
_TRUTH: Final = st.builds(GroundTruth, id=st.just(""), ts=_AGO, origin=_ORIGIN, inference_id=st.just(""), value=_VALUE)
_EVALUATION: Final = st.builds(
    EvaluationResult, id=st.just(""), ts=_AGO, origin=_ORIGIN, name=st.just("tone"), model=st.just("m"),
    version=st.sampled_from(("1", "2")), score=st.none() | st.sampled_from((0.1, 0.7, 1.0)),
    label=st.sampled_from((None, "good", "bad")),
)  # fmt: skip
_EXPOSURE: Final = st.builds(
    Exposure, id=st.just(""), ts=_AGO, origin=_ORIGIN, user_id=_USER, experiment=st.just(TEST.key),
    variant=st.sampled_from("ab"),
)  # fmt: skip
_CONVERSION: Final = st.builds(
    AbConversion, id=st.just(""), ts=_AGO, origin=_ORIGIN, user_id=_USER, experiment=st.just(TEST.key),
    client_clock=st.booleans(),
)  # fmt: skip
_OTHERS: Final = st.lists(_CALL | _CALL | _CALL | _TRUTH | _EVALUATION | _EXPOSURE | _CONVERSION, max_size=30)


class Erased(NamedTuple):
    """That a user is erased, at a time in microseconds."""

    user: str
    at: int


Step: TypeAlias = list[Record] | Identify | Unlink | Erased


class Story(NamedTuple):
    """What stores are told, and when and where one looks at it: microseconds, a day, and the zone of the days."""

    zone_name: str
    now: int
    as_of: date
    steps: list[Step]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Return facts of users, models and a test, in any order and batches, some of them twice or with another time."""
    history = draw(histories(max_events=20))
    others = [_told(each, n, history.now) for n, each in enumerate(draw(_OTHERS))]
    records = draw(st.permutations([*(record(one) for one in received_in(history)), *others]))
    again = draw(st.lists(st.sampled_from(records), max_size=6)) if records else []
    late = [msgspec.structs.replace(each, ts=each.ts + draw(st.sampled_from((0, 1, DAY)))) for each in again]
    cuts = sorted(draw(st.lists(st.integers(0, len(records)), max_size=5)))
    edges = zip([0, *cuts], [*cuts, len(records)], strict=True)
    steps: list[Step] = [[*records[start:end]] for start, end in edges]
    for one in draw(identities()):
        steps.insert(draw(st.integers(0, len(steps))), one)
    for user in draw(st.lists(_USER, max_size=1)):
        steps.insert(draw(st.integers(0, len(steps))), Erased(user, history.now - draw(_AGO)))
    return Story(history.zone_name, history.now, history.as_of, [*steps, late])


def _told(each: Any, n: int, now: int) -> Record:
    """Return what was drawn of a story that ends now: under an id, of its time, a truth of the call before it."""
    fields: dict[str, object] = {"id": f"o{n:02}" if n % 3 else f"{n * 7919 % 997:08x}-0000-4000-8000-{n:012x}"}
    fields["ts"] = max(now - each.ts, 0)
    if isinstance(each, GroundTruth):
        of = max(n - 1 - each.ts % 3, 0)
        fields["inference_id"] = f"o{of:02}" if of % 3 else f"{of * 7919 % 997:08x}-0000-4000-8000-{of:012x}"
    told: Record = msgspec.structs.replace(each, **fields)
    return told


def tell(store: Store, step: Step) -> None:
    """Tell a store one step of a story."""
    if isinstance(step, Identify):
        store.identify(step.anon, step.user)
    elif isinstance(step, Unlink):
        store.unlink(step.anon)
    elif isinstance(step, Erased):
        store.erase(step.user, step.at)
    else:
        store.accept(step)


# ---------------------------------------------------------------- what is reported


class Question(NamedTuple):
    """A method of one of the services of a runtime, and what it is asked with."""

    service: str
    method: str
    given: tuple[str, ...] = ()
    named: Mapping[str, str] = {}


def _questions() -> Iterator[Question]:
    for window in ("24h", "30d"):
        named = {"window": window, "environment": ENVIRONMENT}
        for method in ("list_models", "get_models_summary", "get_evaluations", "get_agents"):
            yield Question("ai", method, (), named)
        for of in ("user", "repository"):
            yield Question("ai", "get_spending", (of,), named)
        for order in ("latency", "cost"):
            yield Question("ai", "get_calls", (order,), named)
        yield Question("ai", "get_model_series", (), {"group_by": "provider", **named})
        yield Question("ai", "get_errors", ("m",), named)
        yield Question("ai", "get_model_series", (), {"group_by": "version", **named})
        for model in MODELS:
            for method in _OF_A_MODEL:
                yield Question("ai", method, model, named)
    here = {"environment": ENVIRONMENT}
    for model in MODELS:
        yield Question("ai", "detect_model_drift", model, here)
    yield Question("ai", "get_version_comparison", ("m", "2", "1"), here)
    for method in _OF_USERS:
        for service in ({}, {"service": "shop"}):
            yield Question("users", method, (), {**here, **service})
    yield Question("users", "get_conversion_metrics", ("purchase",), here)
    yield Question("users", "get_user_series", (), {"compare": "previous", **here})
    yield Question("experiments", "list_ab_tests", (), here)
    yield Question("experiments", "get_ab_test_series", (TEST.key,), here)


_OF_A_MODEL: Final = (
    "get_latency_metrics", "get_cost_metrics", "get_accuracy_metrics", "get_regression_metrics", "get_fairness_metrics",
    "get_model_performance_snapshot",
)  # fmt: skip
_OF_USERS: Final = (
    "get_engagement_metrics", "get_retention_metrics", "get_nps_metrics", "segment_users", "get_users_summary",
    "get_user_series",
)  # fmt: skip


def reports(runtime: Runtime, as_of: date) -> dict[str, bytes]:
    """Return every report as JSON, or what it is refused with."""
    answers = {}
    for question in _questions():
        method = getattr(getattr(runtime, question.service), question.method)
        named: dict[str, object] = dict(question.named)
        if question.service == "users":
            named["as_of"] = as_of
        try:
            answers[repr(question)] = success(method(*question.given, **named)).body
        except (MeasureError, ValueError) as refusal:
            answers[repr(question)] = repr(refusal).encode()
    return answers
