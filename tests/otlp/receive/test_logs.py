from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from otel_measure.ai.pricing import Pricer, override_rates
from otel_measure.conventions import semconv
from otel_measure.definitions.arrivals import ArrivalSource
from otel_measure.otlp.receive.arrivals import Turned
from otel_measure.otlp.receive.logs import EventRules, InterpretedLogs, MadeIds, interpret
from otel_measure.otlp.receive.senders import resource_of
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.events import Event, to_event
from otel_measure.records.kinds import Exposure, Inference, Json, Origin, Record, UserEvent
from tests.facts import event as user_event
from tests.facts import inference, one_of_each
from tests.otlp.requests import NOW_US, PROCESS, SECOND_US, event, log_request, record_request

TYPES = {"checkout.done": "purchase", "noise": "ignore", "*": "custom"}
MINUTE_US = 60 * SECOND_US
SHOP = ArrivalSource("shop", "", "", "")
PRICER = Pricer(override_rates({"m": {"input_per_million_usd": 1.0, "output_per_million_usd": 2.0}}))


def read(*events: Event) -> InterpretedLogs:
    """Return what a request with events says."""
    return interpret(log_request(events).resource_logs, EventRules(PRICER, TYPES), NOW_US)


def one(*events: Event) -> Record:
    """Return the one record of a request."""
    found = read(*events)
    assert (found.refused, found.ignored, len(found.records)) == (Counter(), 0, 1)
    return found.records[0]


def test_records_of_ours_come_back() -> None:
    """Every kind, under the service that the resource names; inferences as what tells of calls."""
    records = [msgspec.structs.replace(record, ts=NOW_US) for record in one_of_each()]
    call, *others = records
    assert isinstance(call, Inference)
    found = interpret(record_request(records).resource_logs, EventRules(PRICER, {}), NOW_US)
    shop = Origin("shop")
    assert found == InterpretedLogs(
        [msgspec.structs.replace(record, origin=shop) for record in others],
        [SHOP] * len(others),
        [telling_of_fact(msgspec.structs.replace(call, origin=shop), resource_of(PROCESS).source)],
        [SHOP],
        Counter(),
    )


def said(interpreted: InterpretedLogs) -> list[Record]:
    """Return all that was said, calls of models first."""
    return [*(call.record for call in interpreted.calls if call.record is not None), *interpreted.records]


@pytest.mark.parametrize("record", [inference("i"), user_event("e")])
def test_a_time_in_the_future_is_clamped(record: Record) -> None:
    """As at a recording call: over 300 s ahead counts as now, and says so."""
    ahead = msgspec.structs.replace(record, ts=NOW_US + 301 * SECOND_US)
    (found,) = said(interpret(record_request([ahead]).resource_logs, EventRules(PRICER, {}), NOW_US))
    assert (found.ts, getattr(found, "clamped", None)) == (NOW_US, True)
    near = msgspec.structs.replace(record, ts=NOW_US + 300 * SECOND_US)
    assert said(interpret(record_request([near]).resource_logs, EventRules(PRICER, {}), NOW_US))[0].ts == near.ts


def test_a_clamped_time_where_no_field_says_so() -> None:
    """A truth has no such field; its time is clamped all the same."""
    truth = msgspec.structs.replace(one_of_each()[2], ts=NOW_US + 301 * SECOND_US)
    assert interpret(record_request([truth]).resource_logs, EventRules(PRICER, {}), NOW_US).records[0].ts == NOW_US


def test_our_events_without_our_sdk() -> None:
    """What another maker leaves out is filled in: an id made from the content, and the name as label."""
    found = one(event("otel_measure.page_view", user_id="u", url_full="/home", session_id="s"))
    assert isinstance(found, UserEvent)
    assert (found.type, found.name, found.page_url, found.session_id) == (
        "page_view",
        "otel_measure.page_view",
        "/home",
        "s",
    )
    assert found == one(event("otel_measure.page_view", user_id="u", url_full="/home", session_id="s"))
    assert found.id != one(event("otel_measure.page_view", user_id="v", url_full="/home", session_id="s")).id


def test_events_of_others() -> None:
    """A user's event by the mapping, with what it has no field for as properties; the id is that of its content."""
    found = one(event("checkout.done", user_id=7, url_full="/pay", cart_size=3))
    assert isinstance(found, UserEvent)
    assert msgspec.structs.replace(found, id="") == UserEvent(
        id="", ts=NOW_US, origin=Origin("shop"), user_id="7", type="purchase", name="checkout.done",
        page_url="/pay", properties={"cart.size": 3},
    )  # fmt: skip
    named = one(event("other", user_id="u", log_record_uid="mine"))
    assert (named.id, getattr(named, "type", ""), getattr(named, "properties", 0)) == ("mine", "custom", None)


@pytest.mark.parametrize(
    ("ignored", "reason"),
    [
        (event("noise", user_id="u"), "not_wanted"),
        (event("checkout.done"), "no_user"),
        (event("checkout.done", user_id=""), "no_user"),
        (event("session.start", session_id="s"), "no_user"),
        (event("gen_ai.client.inference.operation.details", user_id="u"), "told_by_spans"),
        (event("feature_flag.evaluation", feature_flag__key="f"), "no_user"),
        (Event(name="", ts=NOW_US, origin=Origin("shop"), attributes={"user.id": "u"}), "no_event"),
    ],
)
def test_what_tells_nothing_of_a_user_is_let_pass(ignored: Event, reason: str) -> None:
    """It is no fault of the sender's, and the reason is known."""
    assert read(ignored) == InterpretedLogs([], [], [], [], Counter({Turned(SHOP, "ignored", reason): 1}))
    assert interpret(log_request([event("x", user_id="u")]).resource_logs, EventRules(PRICER, {}), NOW_US).ignored == 1


def test_an_evaluation_of_a_feature_flag_is_an_exposure() -> None:
    """By the context id, else by the user id."""
    said: dict[str, Any] = {
        semconv.ATTR_FEATURE_FLAG_KEY: "f",
        semconv.ATTR_FEATURE_FLAG_RESULT_VARIANT: "b",
        semconv.ATTR_USER_ID: "u",
        "feature_flag.provider.name": "p",
    }
    given = Event(name=semconv.EVENT_FEATURE_FLAG_EVALUATION, ts=NOW_US, origin=Origin("shop"), attributes=said)
    found = one(given)
    assert isinstance(found, Exposure)
    assert (found.user_id, found.experiment, found.variant, found.reason) == ("u", "f", "b", "split")
    said[semconv.ATTR_FEATURE_FLAG_CONTEXT_ID] = "c"
    again = one(given)
    assert isinstance(again, Exposure)
    assert again.user_id == "c"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            event("otel_measure.nps_response", user_id="u", otel_measure__nps_score=11),
            "Object missing required field `otel_measure.nps.score`",
        ),
        (event("other", user_id="u" * 513), "event 'other' is not a valid user event: Expected `str` of length <= 512"),
        (event("other", user_id=True), "event 'other' is not a valid user event: Expected `str`, got `bool`"),
        (event("other", user_id="u", text="x" * 33_000), "an event must have at most 32768 bytes"),
    ],
)
def test_what_breaks_a_rule(wrong: Event, why: str) -> None:
    """The rest of the request is taken in."""
    found = read(wrong, event("other", user_id="u"))
    ((message, n),) = found.refused.items()
    assert (n, len(found.records)) == (1, 1)
    assert why in message


@pytest.mark.parametrize("user", ["undefined", "None", "[object Object]", "\u200b", -1])
def test_a_placeholder_is_nobody(user: Json) -> None:
    """What it did is refused and counted, whoever made the event; a call of a model stays, without a user."""
    of_ours = [to_event(record) for record in one_of_each() if hasattr(record, "user_id")]
    renamed = [_of_user(each, user) for each in of_ours]
    found = read(*renamed, event("other", user_id=user))
    assert found.refused == Counter({"what a user did must name somebody, not a placeholder": len(renamed)})
    assert [(type(record), getattr(record, "user_id", "")) for record in said(found)] == [(Inference, None)]
    zero = one(event("other", user_id=0))
    assert isinstance(zero, UserEvent)
    assert zero.user_id == "0"


def _of_user(event: Event, user: Json) -> Event:
    named = {semconv.ATTR_USER_ID, semconv.ATTR_FEATURE_FLAG_CONTEXT_ID}
    attributes = {key: str(user) if key in named else value for key, value in event.attributes.items()}
    return msgspec.structs.replace(event, attributes=attributes)


def test_equal_records_of_one_request_are_several_events() -> None:
    """The n-th of its equals is the same in a retry, also in portions; what was observed at another time is another."""
    equal = [event("other", user_id="u")] * 3
    ids = [record.id for record in read(*equal).records]
    assert ids == [record.id for record in read(*equal, event("other", user_id="v")).records][:3]
    assert len(set(ids)) == 3
    made = MadeIds()
    portions = [
        interpret(log_request([one]).resource_logs, EventRules(PRICER, {"*": "custom"}), NOW_US, made) for one in equal
    ]
    assert [portion.records[0].id for portion in portions] == ids
    observed = []
    for seconds in (1, 2):
        request = log_request(equal[:1])
        request.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = NOW_US * 1000 + seconds
        observed.append(interpret(request.resource_logs, EventRules(PRICER, {"*": "custom"}), NOW_US).records[0].id)
    assert len({*ids, *observed}) == 5


def test_a_bad_resource_of_many() -> None:
    """Its records are refused, each counted; those of others are taken in."""
    deep: Json = "x"
    for _ in range(17):
        deep = [deep]
    request = log_request([event("other", user_id="u"), event("other", user_id="v")], {"x": deep})
    request.MergeFrom(log_request([event("other", user_id="w")]))
    found = interpret(request.resource_logs, EventRules(PRICER, {"*": "custom"}), NOW_US)
    assert found.refused == Counter({"an attribute's value must be nested at most 16 deep": 2})
    assert [record.user_id for record in found.records if isinstance(record, UserEvent)] == ["w"]


def test_the_event_form_has_no_size_of_its_own() -> None:
    """A record of ours with everything set is far below the limit."""
    assert all(len(msgspec.json.encode(to_event(record))) < 2000 for record in one_of_each())
