"""The facts: frozen, typed records with an id, a time and the trace context of their caller; one struct per kind.

A field is said here and nowhere else: its type and the rule that it must keep, and, as the name that it has on the
wire, the attribute as which it travels (`records.events`). A store keeps what it has no column for beside its columns,
and the body of a write over HTTP takes the arguments of the call with the types of these fields. Times are int64
microseconds UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, field

from otel_measure.conventions import semconv
from otel_measure.records import limits

if TYPE_CHECKING:
    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:
    Json = Any  # msgspec reads the annotations of a Struct and takes no recursive one
# The rules of fields; an event that arrives is held to them, and a builder has checked its arguments before.
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_ID_CHARS)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_CHARS)]
NameOrEmpty: TypeAlias = Annotated[str, Meta(max_length=limits.MAX_NAME_CHARS)]
Label: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_LABEL_CHARS)]
Text: TypeAlias = Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)]
Micros: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
WholeNumber: TypeAlias = Annotated[int, Meta(ge=0, le=limits.MAX_COUNT)]
UnitCount: TypeAlias = Annotated[float, Meta(ge=0.0, le=limits.MAX_COUNT)]
DurationMs: TypeAlias = Annotated[float, Meta(ge=0.0, le=limits.MAX_LATENCY_MS)]
CostUsd: TypeAlias = Annotated[float, Meta(ge=0.0, le=limits.MAX_COST_USD)]
SavedUsd: TypeAlias = Annotated[float, Meta(ge=-limits.MAX_COST_USD, le=limits.MAX_COST_USD)]
Amount: TypeAlias = Annotated[float, Meta(ge=-limits.MAX_VALUE, le=limits.MAX_VALUE)]
Currency: TypeAlias = Annotated[str, Meta(min_length=limits.CURRENCY_CHARS, max_length=limits.CURRENCY_CHARS)]
NpsScore: TypeAlias = Annotated[int, Meta(ge=0, le=limits.MAX_NPS_SCORE)]
Prediction: TypeAlias = float | int | bool | str
GroupLabel: TypeAlias = Annotated[str, Meta(min_length=1, max_length=limits.MAX_GROUP_CHARS)]
Groups: TypeAlias = Annotated[dict[GroupLabel, GroupLabel], Meta(max_length=limits.MAX_GROUPS)]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Which deployment a fact comes from: `service.name` and `deployment.environment.name`."""

    service: str
    environment: str = ""


class Inference(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One call of a model, successful or not.

    `untimed` says that nobody told how long it took: `latency_ms` is 0 then, and in no percentile. `repository` is the
    one for which a coding agent worked.
    """

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    model: Name = field(name=semconv.ATTR_GEN_AI_REQUEST_MODEL)
    version: Name = field(name=semconv.ATTR_MODEL_VERSION)
    latency_ms: DurationMs = field(name=semconv.ATTR_LATENCY_MS)
    input_tokens: WholeNumber | None = field(default=None, name=semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS)
    output_tokens: WholeNumber | None = field(default=None, name=semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS)
    cached_input_tokens: WholeNumber | None = field(
        default=None, name=semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS
    )
    cache_write_tokens: WholeNumber | None = field(
        default=None, name=semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS
    )
    reasoning_tokens: WholeNumber | None = field(default=None, name=semconv.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS)
    units: dict[str, UnitCount] | None = field(default=None, name=semconv.ATTR_USAGE_UNITS)
    service_tier: Label | None = field(default=None, name=semconv.ATTR_SERVICE_TIER)
    cost_usd: CostUsd | None = field(default=None, name=semconv.ATTR_COST_USD)
    cost_source: Label | None = field(default=None, name=semconv.ATTR_COST_SOURCE)
    cache_savings_usd: SavedUsd | None = field(default=None, name=semconv.ATTR_CACHE_SAVINGS_USD)
    error_type: Label | None = field(default=None, name=semconv.ATTR_ERROR_TYPE)
    provider: Name | None = field(default=None, name=semconv.ATTR_GEN_AI_PROVIDER_NAME)
    operation: Label | None = field(default=None, name=semconv.ATTR_GEN_AI_OPERATION_NAME)
    response_model: Name | None = field(default=None, name=semconv.ATTR_GEN_AI_RESPONSE_MODEL)
    time_to_first_chunk_ms: DurationMs | None = field(default=None, name=semconv.ATTR_TIME_TO_FIRST_CHUNK_MS)
    output_chunks: WholeNumber | None = field(default=None, name=semconv.ATTR_OUTPUT_CHUNKS)
    user_id: Id | None = field(default=None, name=semconv.ATTR_USER_ID)
    session_id: Id | None = field(default=None, name=semconv.ATTR_SESSION_ID)
    prediction: Prediction | None = field(default=None, name=semconv.ATTR_PREDICTION)
    features: dict[str, Json] | None = field(default=None, name=semconv.ATTR_FEATURES)
    metadata: dict[str, Json] | None = field(default=None, name=semconv.ATTR_METADATA)
    groups: Groups | None = field(default=None, name=semconv.ATTR_GROUPS)
    repository: Name | None = field(default=None, name=semconv.ATTR_VCS_REPOSITORY_NAME)
    untimed: bool = field(default=False, name=semconv.ATTR_UNTIMED)
    clamped: bool = field(default=False, name=semconv.ATTR_TIME_CLAMPED)
    trace_id: str | None = None
    span_id: str | None = None


def with_fields(call: Inference, **fields: object) -> Inference:
    """Return a call with some fields in place of its own; their rules are not checked."""
    return msgspec.structs.replace(call, **fields)


class UserEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing a user did. `name` is the caller's label, `type` one of a closed list, which names the event."""

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    user_id: Id = field(name=semconv.ATTR_USER_ID)
    type: str
    name: Name = field(name=semconv.ATTR_EVENT_LABEL)
    page_url: Text | None = field(default=None, name=semconv.ATTR_URL_FULL)
    session_id: Id | None = field(default=None, name=semconv.ATTR_SESSION_ID)
    device_type: Label | None = field(default=None, name=semconv.ATTR_DEVICE_TYPE)
    referrer: Text | None = field(default=None, name=semconv.ATTR_REFERRER)
    value: Amount | None = field(default=None, name=semconv.ATTR_EVENT_VALUE)
    currency: Currency | None = field(default=None, name=semconv.ATTR_EVENT_CURRENCY)
    background: bool = field(default=False, name=semconv.ATTR_EVENT_BACKGROUND)
    properties: dict[str, Json] | None = field(default=None, name=semconv.ATTR_EVENT_PROPERTIES)
    clamped: bool = field(default=False, name=semconv.ATTR_TIME_CLAMPED)
    trace_id: str | None = None
    span_id: str | None = None


class GroundTruth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a prediction should have been, learnt later; it counts at the time of the inference."""

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    inference_id: Id = field(name=semconv.ATTR_INFERENCE_ID)
    value: Prediction = field(name=semconv.ATTR_GROUND_TRUTH)
    trace_id: str | None = None
    span_id: str | None = None


class NpsResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user's answer to "how likely are you to recommend us", 0 to 10."""

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    user_id: Id = field(name=semconv.ATTR_USER_ID)
    score: NpsScore = field(name=semconv.ATTR_NPS_SCORE)
    survey: Id = field(default="default", name=semconv.ATTR_NPS_SURVEY)
    comment: Text = field(default="", name=semconv.ATTR_NPS_COMMENT)
    clamped: bool = field(default=False, name=semconv.ATTR_TIME_CLAMPED)
    trace_id: str | None = None
    span_id: str | None = None


class Exposure(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user met a variant of an experiment."""

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    user_id: Id = field(name=semconv.ATTR_FEATURE_FLAG_CONTEXT_ID)
    experiment: Name = field(name=semconv.ATTR_FEATURE_FLAG_KEY)
    variant: Name = field(name=semconv.ATTR_FEATURE_FLAG_RESULT_VARIANT)
    reason: Label = field(default=semconv.FEATURE_FLAG_REASON_SPLIT, name=semconv.ATTR_FEATURE_FLAG_RESULT_REASON)
    trace_id: str | None = None
    span_id: str | None = None


class AbConversion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A user did what an experiment is about; a fact of the experiment alone, and nothing that users are counted by.

    `client_clock` says that whoever told of it gave its time: it is of another clock than the times of exposures.
    """

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    user_id: Id = field(name=semconv.ATTR_FEATURE_FLAG_CONTEXT_ID)
    experiment: Name = field(name=semconv.ATTR_FEATURE_FLAG_KEY)
    client_clock: bool = field(default=False, name=semconv.ATTR_CLIENT_CLOCK)
    clamped: bool = field(default=False, name=semconv.ATTR_TIME_CLAMPED)
    trace_id: str | None = None
    span_id: str | None = None


class ServiceState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A watched service went down or came up."""

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    service: Name = field(name=semconv.ATTR_MONITORED_SERVICE_NAME)
    state: Label = field(name=semconv.ATTR_MONITORED_SERVICE_STATE)
    reason: Name | None = field(default=None, name=semconv.ATTR_MONITORED_SERVICE_REASON)
    trace_id: str | None = None
    span_id: str | None = None


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Planned time [start_us, end_us) of a watched service, in which it is neither up nor down."""

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    service: Name = field(name=semconv.ATTR_MONITORED_SERVICE_NAME)
    start_us: Micros = field(name=semconv.ATTR_MAINTENANCE_START_US)
    end_us: Micros = field(name=semconv.ATTR_MAINTENANCE_END_US)
    reason: Name | None = field(default=None, name=semconv.ATTR_MONITORED_SERVICE_REASON)
    trace_id: str | None = None
    span_id: str | None = None


class EvaluationResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What somebody (a person, a judge model, a program) thinks of an answer: a score, a label, or both.

    `model` and `version` are "" where nobody says whose answer it was.
    """

    id: Id = field(name=semconv.ATTR_LOG_RECORD_UID)
    ts: Micros
    origin: Origin
    name: Label = field(name=semconv.ATTR_GEN_AI_EVALUATION_NAME)
    score: Amount | None = field(default=None, name=semconv.ATTR_GEN_AI_EVALUATION_SCORE_VALUE)
    label: Label | None = field(default=None, name=semconv.ATTR_GEN_AI_EVALUATION_SCORE_LABEL)
    model: NameOrEmpty = field(default="", name=semconv.ATTR_GEN_AI_REQUEST_MODEL)
    version: NameOrEmpty = field(default="", name=semconv.ATTR_MODEL_VERSION)
    inference_id: Id | None = field(default=None, name=semconv.ATTR_INFERENCE_ID)
    response_id: Name | None = field(default=None, name=semconv.ATTR_GEN_AI_RESPONSE_ID)
    trace_id: str | None = None
    span_id: str | None = None


Record: TypeAlias = (
    Inference
    | UserEvent
    | GroundTruth
    | NpsResponse
    | Exposure
    | AbConversion
    | ServiceState
    | Maintenance
    | EvaluationResult
)
