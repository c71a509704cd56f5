"""A field of a fact is said once, by its struct: the call, the body, the event and the store are held to it here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, get_type_hints

import msgspec
import pytest
from starlette.testclient import TestClient

from exporter.api.models import GroundTruthBody, InferenceBody
from exporter.api.users import EventBody, NpsBody
from exporter.app import create_app
from otel_measure.ai.record import CallFields, InferenceBuilder
from otel_measure.ai.service import AiModelService
from otel_measure.records.events import from_event
from otel_measure.records.kinds import GroundTruth, Inference, NpsResponse, Record, UserEvent
from otel_measure.store.sqlite.facts import TABLE_OF
from otel_measure.testing import Capture
from otel_measure.users.answers import AnswerBuilder
from otel_measure.users.service import UserAnalyticsService
from otel_measure.users.track import EventBuilder
from tests.facts import NOON, one_of_each

API: Final = "/api/v1/metrics"
# What no caller of any call gives: where a record comes from, and what its checks found.
MADE_ALWAYS: Final = frozenset({"origin", "clamped", "trace_id", "span_id"})


class Wiring(NamedTuple):
    """One kind of fact that users record.

    Attributes:
        call, build: what users call, and what makes the record.
        body, path: of its write over HTTP.
        keywords: of the arguments that are not called like their field.
        made: the fields that follow from others.
        not_in_call: fields that only streams and bodies give.
        no_field: arguments that become another record.
    """

    record: type[Record]
    call: Callable[..., str]
    build: Callable[..., Record]
    body: type[msgspec.Struct]
    path: str
    keywords: dict[str, str]
    made: frozenset[str] = frozenset()
    not_in_call: frozenset[str] = frozenset()
    no_field: frozenset[str] = frozenset()

    def arguments(self) -> dict[str, str]:
        """Return the keyword of every field that a caller gives."""
        given = [f for f in self.record.__struct_fields__ if f not in MADE_ALWAYS | self.made]
        return {field: self.keywords.get(field, field) for field in given}

    def sample(self) -> Record:
        """Return a record of which every field has a value."""
        return next(record for record in one_of_each() if type(record) is self.record)


WIRINGS: Final = (
    Wiring(
        UserEvent,
        UserAnalyticsService.track_event,
        EventBuilder.build,
        EventBody,
        "users/events/track",
        {"id": "event_id", "ts": "timestamp", "type": "event_type", "name": "event_name"},
        made=frozenset({"background"}),
    ),
    Wiring(
        NpsResponse,
        UserAnalyticsService.record_nps_response,
        AnswerBuilder.build,
        NpsBody,
        "users/nps/record",
        {"id": "response_id", "ts": "timestamp"},
    ),
    Wiring(
        Inference,
        AiModelService.record_inference,
        InferenceBuilder.build,
        InferenceBody,
        "ai/inferences/record",
        {"id": "inference_id", "ts": "timestamp", "model": "model_name", "version": "model_version"},
        made=frozenset({"cost_source", "cache_savings_usd", "response_model", "repository", "untimed"}),
        not_in_call=frozenset({"time_to_first_chunk_ms", "output_chunks"}),
        no_field=frozenset({"ground_truth"}),
    ),
    Wiring(
        GroundTruth,
        AiModelService.record_ground_truth,
        InferenceBuilder.truth,
        GroundTruthBody,
        "ai/ground-truths/record",
        {"id": "ground_truth_id", "ts": "timestamp"},
    ),
)
each_kind = pytest.mark.parametrize("wiring", WIRINGS, ids=lambda wiring: wiring.record.__name__)


def parameters(call: Callable[..., object]) -> set[str]:
    """Return the names of the arguments of a method."""
    return {*inspect.signature(call).parameters} - {"self"}


def given(wiring: Wiring, fields: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of a call that makes the sample of a kind."""
    sample, keywords = wiring.sample(), wiring.arguments()
    values = {keywords[field]: getattr(sample, field) for field in fields}
    return values | {"timestamp": datetime.fromtimestamp(NOON / 1_000_000, UTC)}


def as_made(wiring: Wiring, record: Record | None, fields: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return some fields of a record, and what they are to be."""
    sample = wiring.sample()
    names = list(fields)
    return {f: getattr(record, f) for f in names}, {f: getattr(sample, f) for f in names}


@each_kind
def test_a_call_has_an_argument_for_every_field(wiring: Wiring) -> None:
    """Every field that a caller gives is an argument of the call and of what makes the record, and no other is."""
    arguments = set(wiring.arguments().values())
    assert parameters(wiring.call) == arguments - wiring.not_in_call | wiring.no_field
    assert parameters(wiring.build) - {"sent_at", "usage"} == arguments


@each_kind
def test_a_body_has_every_argument(wiring: Wiring) -> None:
    """Every argument is a field of the body, required where the call requires it."""
    required = {
        p.name: p.default is p.empty
        for p in inspect.signature(wiring.build).parameters.values()
        if p.name not in {"self", "usage"}
    } | dict.fromkeys(wiring.no_field, False)
    assert {field.name: field.required for field in msgspec.structs.fields(wiring.body)} == required


def limits(body: type[msgspec.Struct]) -> Iterator[tuple[str, object, object]]:
    """Yield argument, the largest value that its description allows, and one that is larger."""
    schema = msgspec.json.schema(body)["$defs"][body.__name__]["properties"]
    for name, described in schema.items():
        for arm in described.get("anyOf", [described]):
            if "maxLength" in arm:
                yield name, "x" * arm["maxLength"], "x" * (arm["maxLength"] + 1)
            if "maximum" in arm:
                most = int(arm["maximum"]) if arm["type"] == "integer" else arm["maximum"]
                yield name, most, most * 2


@each_kind
def test_the_described_limits_are_those_of_the_call(wiring: Wiring) -> None:
    """What the description of a body allows is taken, and the next larger value is refused by the same rule."""
    with Capture() as capture:
        makers: dict[type[Record], Callable[..., object]] = {
            UserEvent: capture.users.event_record,
            NpsResponse: capture.users.nps_record,
            Inference: capture.ai.inference_records,
            GroundTruth: capture.ai.ground_truth_record,
        }
        make = makers[wiring.record]
        arguments = given(wiring, wiring.arguments().keys())
        checked = list(limits(wiring.body))
        for name, largest, larger in checked:
            make(**arguments | {name: largest})
            with pytest.raises(ValueError, match=name):
                make(**arguments | {name: larger})
    assert len(checked) >= 2


def test_what_may_be_said_before_a_call_is_what_records_it() -> None:
    """`measure`, `inference` and `measure_stream` take what makes the record, and its truth."""
    told_first = {"self", "model_name", "model_version", "latency_ms", "usage"}
    assert set(get_type_hints(CallFields)) == parameters(InferenceBuilder.build) - told_first - {"sent_at"} | {
        "ground_truth"
    }


@each_kind
def test_what_a_call_is_given_is_in_the_event(wiring: Wiring) -> None:
    """Every argument of a call reaches the record, and the event that tells of it."""
    fields = wiring.arguments().keys() - wiring.not_in_call
    with Capture() as capture:
        service = capture.users if hasattr(capture.users, wiring.call.__name__) else capture.ai
        getattr(service, wiring.call.__name__)(**given(wiring, fields))
        (event,) = capture.events()
    made, expected = as_made(wiring, from_event(event), fields)
    assert made == expected


@each_kind
def test_what_a_body_says_is_in_the_event(wiring: Wiring) -> None:
    """Every field of a body reaches the record, and the event that tells of it."""
    fields = wiring.arguments().keys()
    body = given(wiring, fields)
    with Capture() as capture:
        client = TestClient(
            create_app(runtime=capture.runtime), base_url="http://localhost", client=("127.0.0.1", 50_000)
        )
        answer = client.post(f"{API}/{wiring.path}", json=body | {"timestamp": body["timestamp"].isoformat()})
        assert answer.status_code == 201, answer.text
        (event,) = capture.events()
    made, expected = as_made(wiring, from_event(event), fields)
    assert made == expected


@pytest.mark.parametrize("record", one_of_each(), ids=lambda record: type(record).__name__)
def test_a_field_has_a_column_or_stands_beside_the_columns(record: Record) -> None:
    """The columns of a table and its JSON of rare fields have every field once."""
    table = TABLE_OF[type(record)]
    elsewhere = {"uid": {"user_id"}, "model": {"model", "version"}, "active": set(), "extra": set()}
    in_columns = [field for column in table.columns for field in elsewhere.get(column, {column})]
    assert sorted([*in_columns, *table.extra]) == sorted(record.__struct_fields__)
