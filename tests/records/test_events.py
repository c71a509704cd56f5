from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from otel_measure.conventions import semconv
from otel_measure.records.events import USER_EVENT_TYPES, Event, _attributes_of, from_event, kind_of, to_event
from otel_measure.records.kinds import Inference, Json, Record, UserEvent
from tests.facts import HERE, NOON, event, inference, one_of_each, records


@given(records)
def test_a_record_comes_back_from_its_event_form(record: Record) -> None:
    """The event form loses nothing, of any kind."""
    assert from_event(to_event(record)) == record


@given(records)
def test_the_types_come_back_too(record: Record) -> None:
    """0, 0.0 and False are equal in Python and are told apart in what comes back, also through JSON."""
    back = from_event(to_event(record))
    assert msgspec.json.encode(back) == msgspec.json.encode(record)


@pytest.mark.parametrize("prediction", [False, True, 0, 1, 0.0, 1.0, -0.0, "", "0", "False"])
def test_a_prediction_that_is_false_is_a_prediction(prediction: float | bool | str) -> None:
    """False, 0 and "" are answers of a model, not the lack of one."""
    back = from_event(to_event(inference("i", prediction=prediction)))
    assert isinstance(back, Inference)
    assert (back.prediction, type(back.prediction)) == (prediction, type(prediction))


def test_the_event_form_of_an_inference() -> None:
    """What is unknown or false is left out; the rest stands under its OpenTelemetry name."""
    assert to_event(inference("i", input_tokens=0, user_id="7")) == Event(
        name="otel_measure.inference",
        ts=NOON,
        origin=HERE,
        attributes={
            "log.record.uid": "i",
            "gen_ai.request.model": "m",
            "otel_measure.model.version": "1",
            semconv.ATTR_LATENCY_MS: 100.0,
            "gen_ai.usage.input_tokens": 0,
            "user.id": "7",
        },
    )


def test_every_field_of_every_kind_travels() -> None:
    """No field is forgotten in the table of attributes: records with all fields set come back whole."""
    for record in one_of_each():
        unset = [f for f in record.__struct_fields__ if getattr(record, f) is None]
        assert unset == []
        assert from_event(to_event(record)) == record


@pytest.mark.parametrize("event_type", sorted(USER_EVENT_TYPES))
def test_the_name_of_a_user_event_is_its_type(event_type: str) -> None:
    """Event names never hold dynamic values: the caller's label is an attribute."""
    form = to_event(event("e", type=event_type, name="anything"))
    assert form.name == (event_type if event_type.startswith("session.") else f"otel_measure.{event_type}")
    assert form.attributes[semconv.ATTR_EVENT_LABEL] == "anything"
    back = from_event(form)
    assert isinstance(back, UserEvent)
    assert back.type == event_type


def test_the_kinds() -> None:
    """Each kind of record is counted under a name of its own."""
    assert [kind_of(type(record)) for record in one_of_each()] == [
        "inference",
        "user_event",
        "ground_truth",
        "nps_response",
        "exposure",
        "ab_conversion",
        "service_state",
        "maintenance",
        "evaluation",
    ]


def test_a_foreign_event_is_none_of_ours() -> None:
    """An event of somebody else is no record and no error."""
    assert from_event(Event(name="exception", ts=NOON, origin=HERE, attributes={})) is None


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({}, "missing required field `log.record.uid`"),
        ({"log.record.uid": 7}, "Expected `str`, got `int` - at `$.log.record.uid`"),
    ],
)
def test_a_broken_event_names_the_field(attributes: dict[str, int], named: str) -> None:
    """An event with our name and a missing or mistyped field says which."""
    broken = Event(name="otel_measure.inference", ts=NOON, origin=HERE, attributes=dict(attributes))
    with pytest.raises(ValueError, match=r"event 'otel_measure\.inference' is not a valid record") as raised:
        from_event(broken)
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("attribute", "value", "rule"),
    [
        (semconv.ATTR_LATENCY_MS, -1.0, "Expected `float` >= 0.0 - at `$.otel_measure.inference.latency_ms`"),
        (semconv.ATTR_LATENCY_MS, float("nan"), "Expected `float` >= 0.0 - at `$.otel_measure.inference.latency_ms`"),
        (semconv.ATTR_GEN_AI_REQUEST_MODEL, "", "Expected `str` of length >= 1 - at `$.gen_ai.request.model`"),
        (semconv.ATTR_LOG_RECORD_UID, "x" * 513, "Expected `str` of length <= 512 - at `$.log.record.uid`"),
    ],
)
def test_an_event_that_breaks_a_rule_is_no_record(attribute: str, value: float | str, rule: str) -> None:
    """What arrives is held to the rules of a recording call; the message names the field and the rule."""
    form = to_event(inference("i"))
    with pytest.raises(ValueError, match=r"otel_measure\.inference") as caught:
        from_event(msgspec.structs.replace(form, attributes=form.attributes | {attribute: value}))
    assert str(caught.value) == f"event 'otel_measure.inference' is not a valid record: {rule}"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (semconv.ATTR_COST_USD, 1e7),
        (semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS, -1),
        (semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS, "3"),
        (semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS, float("nan")),
        (semconv.ATTR_USER_ID, ""),
        (semconv.ATTR_USER_ID, "u" * 513),
        (semconv.ATTR_ERROR_TYPE, "e" * 257),
        (semconv.ATTR_METADATA, [1]),
    ],
)
def test_an_odd_value_costs_its_attribute_alone(attribute: str, value: Json) -> None:
    """What a record can be without is left out, and every other attribute is kept."""
    form = to_event(inference("i", user_id="u", input_tokens=1, cost_usd=0.5))
    without = {key: v for key, v in form.attributes.items() if key != attribute}
    odd = msgspec.structs.replace(form, attributes=form.attributes | {attribute: value})
    assert from_event(odd) == from_event(msgspec.structs.replace(form, attributes=without))


def test_a_field_that_travels_nowhere_is_refused() -> None:
    """A field without an attribute is an error when the module is imported; the message names it and the way out."""

    class Forgetful(msgspec.Struct):
        """A record with a field too many."""

        id: str = msgspec.field(name="log.record.uid")
        ts: int
        mood: str | None = None

    with pytest.raises(TypeError, match=r"Forgetful: give mood its attribute: field\(name=semconv.ATTR_…\)"):
        _attributes_of(Forgetful)  # type: ignore[arg-type]
