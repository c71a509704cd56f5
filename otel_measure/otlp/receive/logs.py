"""OTLP logs as records: our own events, and those of others that tell what users did; other logs are let pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs

from otel_measure.ai.pricing import Pricer
from otel_measure.conventions import dialects, semconv
from otel_measure.conventions.private import error_class, without_private
from otel_measure.definitions.arrivals import UNKNOWN_SOURCE, ArrivalSource, IgnoredReason
from otel_measure.definitions.tellings import Telling
from otel_measure.otlp.events import event_name, from_log_record, own_record, refuse_too_large
from otel_measure.otlp.receive.agents import agent_event, call_of_event
from otel_measure.otlp.receive.arrivals import Turned, by_reason, source_of
from otel_measure.otlp.receive.senders import Resource, resource_of
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.otlp.values import attributes_of
from otel_measure.records.checks import names_nobody, settled_time
from otel_measure.records.events import SCHEMA_OF_EVENT, Event, from_event, record_of
from otel_measure.records.ids import content_id
from otel_measure.records.kinds import Inference, Json, Record, UserEvent, with_fields
from otel_measure.records.limits import MAX_LABEL_CHARS, MAX_NAME_CHARS

_sorted_json = msgspec.json.Encoder(order="deterministic").encode


class EventRules(NamedTuple):
    """By what events of others are understood.

    Attributes:
        pricer: finds what the calls cost that they tell of.
        types: names of events → `EventType`, or "ignore"; "*" stands for all that are not named.
        keeps_text: keep attributes that are messages, prompts or arguments, too.
    """

    pricer: Pricer
    types: Mapping[str, str]
    keeps_text: bool = False


class InterpretedLogs(NamedTuple):
    """What the logs of a request say.

    Attributes:
        records: in the order of the request.
        record_sources: who sent each of them.
        calls: what the facts and events among them tell of calls of models; these are no records to be committed.
        call_sources: who sent each of them.
        turned: the log records of which nothing is made.
    """

    records: list[Record]
    record_sources: list[ArrivalSource]
    calls: list[Telling]
    call_sources: list[ArrivalSource]
    turned: Counter[Turned]

    @property
    def refused(self) -> Counter[str]:
        """How many records broke a rule, by what was wrong with the first of a kind."""
        return by_reason(self.turned, "rejected")

    @property
    def ignored(self) -> int:
        """How many are no events, or of nobody."""
        return by_reason(self.turned, "ignored").total()


class MadeIds:
    """Makes ids of the log records of one request that have none, so that the request sent again makes the same.

    Two that are equal in everything, the observed time included, are two events: the second is the second of its
    equals in the request.
    """

    def __init__(self) -> None:
        self._equals: Counter[str] = Counter()

    def of(self, event: Event, resource: Resource, observed_ns: int) -> str:
        """Return the id of the next record that says this."""
        content: list[Json] = [resource.source, event.name, event.trace_id, event.span_id, event.attributes]
        if observed_ns:
            content.append(observed_ns)
        first = content_id(event.ts, _sorted_json(content))
        self._equals[first] += 1
        if (n := self._equals[first]) == 1:
            return first
        return content_id(event.ts, _sorted_json([first, n]))


def interpret(
    requested: Iterable[ResourceLogs], rules: EventRules, now_us: int, made_ids: MadeIds | None = None
) -> InterpretedLogs:
    """Return the records of a request; one that breaks a rule does not fail the others.

    Args:
        requested: the logs of the request, by resource.
        rules: by which events of others are understood.
        now_us: microseconds; what lies further in the future counts as now.
        made_ids: those of the request, where it comes in portions.
    """
    reader = _LogReader(rules, now_us, MadeIds() if made_ids is None else made_ids)
    interpreted = InterpretedLogs([], [], [], [], Counter())
    for resource_logs in requested:
        try:
            resource = resource_of(attributes_of(resource_logs.resource.attributes), keeps_text=rules.keeps_text)
        except ValueError as error:
            n = sum(len(scope_logs.log_records) for scope_logs in resource_logs.scope_logs)
            interpreted.turned[Turned(UNKNOWN_SOURCE, "rejected", str(error))] += n
            continue
        for scope_logs in resource_logs.scope_logs:
            source = source_of(resource, scope_logs.scope.name)
            for log_record in scope_logs.log_records:
                try:
                    record = reader.read(log_record, resource)
                except ValueError as error:
                    interpreted.turned[Turned(source, "rejected", str(error))] += 1
                    continue
                if isinstance(record, Inference):
                    interpreted.calls.append(telling_of_fact(record, resource.source))
                    interpreted.call_sources.append(source)
                elif isinstance(record, str):
                    interpreted.turned[Turned(source, "ignored", record)] += 1
                else:
                    interpreted.records.append(record)
                    interpreted.record_sources.append(source)
    return interpreted


class _LogReader:
    """Reads log records as records of ours, or as the reason why they are ignored."""

    def __init__(self, rules: EventRules, now_us: int, made_ids: MadeIds) -> None:
        self._rules = rules
        self._now_us = now_us
        self._made_ids = made_ids

    def read(self, log_record: LogRecord, resource: Resource) -> Record | IgnoredReason:
        """Return the record that a log record is.

        Raises:
            ValueError: it breaks a rule.
        """
        record = own_record(log_record, resource.origin, self._now_us) or self._foreign(log_record, resource)
        if isinstance(record, str):
            return record
        if isinstance(record, Inference) and record.error_type is not None:
            record = with_fields(record, error_type=error_class(record.error_type))
        if names_nobody(getattr(record, "user_id", None)):
            record = _without_user(record)
        return _settled(record, self._now_us) if record.ts > self._now_us else record

    def _foreign(self, log_record: LogRecord, resource: Resource) -> Record | IgnoredReason:
        of_agent = agent_event(log_record)
        if not event_name(log_record) and of_agent is None:
            return "no_event"
        refuse_too_large(log_record)
        event = from_log_record(log_record, resource.origin, self._now_us)
        if not event.attributes.get(semconv.ATTR_LOG_RECORD_UID):
            uid = self._made_ids.of(event, resource, log_record.observed_time_unix_nano)
            event.attributes[semconv.ATTR_LOG_RECORD_UID] = uid
        if of_agent is not None:  # it tells of a call, or of nothing, and never of what a user did
            return call_of_event(of_agent, event, resource, self._rules.pricer) or "no_call"
        completed = _completed(event)
        own = None if completed is None else from_event(completed)
        return _of_others(event, self._rules) if own is None else own


def _without_user(record: Record) -> Record:
    """Return a call of a model without the placeholder that is its user.

    Raises:
        ValueError: it is something that a user did.
    """
    if not isinstance(record, Inference):
        raise ValueError("what a user did must name somebody, not a placeholder")
    return msgspec.structs.replace(record, user_id=None)


def _settled(record: Record, now_us: int) -> Record:
    ts, clamped = settled_time(record.ts, now_us)
    if not clamped:
        return record
    if hasattr(record, "clamped"):
        return msgspec.structs.replace(record, ts=ts, clamped=True)
    return msgspec.structs.replace(record, ts=ts)


def _completed(event: Event) -> Event | None:
    """Return an event of ours with what its maker may leave out; `None` for one of others, or of no user."""
    schema = SCHEMA_OF_EVENT.get(event.name)
    if schema is None:
        return None
    given = event.attributes
    attributes = dict(given)
    if event.name == semconv.EVENT_FEATURE_FLAG_EVALUATION:
        user = dialects.first_of(given, dialects.FLAG_USER)
        variant = given.get(semconv.ATTR_FEATURE_FLAG_RESULT_VARIANT)
        if not user or not variant or not given.get(semconv.ATTR_FEATURE_FLAG_KEY):
            return None
        attributes[semconv.ATTR_FEATURE_FLAG_CONTEXT_ID] = user
    elif schema.record is UserEvent:
        if not given.get(semconv.ATTR_USER_ID):
            return None
        attributes.setdefault(semconv.ATTR_EVENT_LABEL, event.name)
    return msgspec.structs.replace(event, attributes=attributes)


# Which attributes of an event of others are fields of a user event; all others become its properties.
_OPTIONAL_FIELDS: Final = (semconv.ATTR_SESSION_ID, semconv.ATTR_URL_FULL)
_FIELDS: Final = frozenset({semconv.ATTR_USER_ID, semconv.ATTR_LOG_RECORD_UID, *_OPTIONAL_FIELDS})


def _of_others(event: Event, rules: EventRules) -> Record | IgnoredReason:
    given = event.attributes
    user = given.get(semconv.ATTR_USER_ID)
    event_type = rules.types.get(event.name) or rules.types.get(dialects.ANY_OTHER_EVENT, dialects.IGNORED_EVENT)
    if event.name.startswith(semconv.GEN_AI_PREFIX):
        return "told_by_spans"
    if event_type == dialects.IGNORED_EVENT:
        return "not_wanted"
    if user is None or user == "":
        return "no_user"
    shown = without_private(given, keeps_text=rules.keeps_text)
    values: dict[str, object] = {
        semconv.ATTR_LOG_RECORD_UID: given[semconv.ATTR_LOG_RECORD_UID],
        "ts": event.ts,
        "origin": event.origin,
        semconv.ATTR_USER_ID: str(user) if isinstance(user, int) and not isinstance(user, bool) else user,
        "type": event_type,
        semconv.ATTR_EVENT_LABEL: event.name[:MAX_NAME_CHARS],
        semconv.ATTR_EVENT_PROPERTIES: {key: value for key, value in shown.items() if key not in _FIELDS} or None,
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        **{key: given[key] for key in _OPTIONAL_FIELDS if given.get(key)},
    }
    try:
        return record_of(values, UserEvent)
    except msgspec.ValidationError as error:
        raise ValueError(f"event {event.name[:MAX_LABEL_CHARS]!r} is not a valid user event: {error}") from error
