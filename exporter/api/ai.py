"""Models: their calls, and what can be said about each model."""

from __future__ import annotations

from asyncio import gather
from typing import Annotated, Final

import msgspec

from exporter.http.batch import Verdict, counts, is_duplicate, write_batch
from exporter.http.body import decode_json
from exporter.http.fields import (
    BATCH,
    Cost,
    Count,
    Duration,
    Id,
    JsonObject,
    Label,
    Moment,
    RecordId,
    UserId,
    item_like,
)
from exporter.http.query import ModelQuery, NamedModelQuery
from exporter.http.types import API, MAX_BATCH_BYTES, AnyEndpoint, Call, NoBody, NoQuery, get, post
from otel_measure.ai.reports import Evaluations, Models, Snapshot
from otel_measure.ai.service import AiModelService
from otel_measure.errors import NotFound
from otel_measure.records.kinds import Record
from otel_measure.store.types.facts import Outcome

_BASE: Final = f"{API}/ai"


class InferenceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call of a model, with the arguments of `record_inference`."""

    model_name: Label
    model_version: Label
    latency_ms: Duration
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cost_usd: Cost | None = None
    prediction: float | int | bool | str | None = None
    ground_truth: float | int | bool | str | None = None
    features: JsonObject | None = None
    user_id: UserId | None = None
    session_id: Id | None = None
    provider: Label | None = None
    operation: Label | None = None
    error_type: Label | None = None
    metadata: JsonObject | None = None
    timestamp: Moment | None = None
    inference_id: RecordId | None = None
    time_to_first_chunk_ms: Duration | None = None
    output_chunks: Count | None = None


class Recorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The id of a committed call; `duplicate` when it was there already."""

    inference_id: str
    duplicate: bool = False


class InferenceBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 calls."""

    inferences: Annotated[list[Annotated[msgspec.Raw, item_like(InferenceBody)]], BATCH]


class InferenceResult(msgspec.Struct, frozen=True):
    """What became of one call."""

    status: Outcome
    inference_id: str | None
    reason: str | None


class InferenceResults(msgspec.Struct, frozen=True):
    """What became of each call, in the order of the batch, and how often."""

    results: list[InferenceResult]
    accepted: int
    duplicate: int
    rejected: int


_decode_inference: Final = msgspec.json.Decoder(InferenceBody).decode


def records(ai: AiModelService, body: InferenceBody) -> tuple[Record, ...]:
    """Return the records that a body stands for, validated: the inference, and its truth when that is given."""
    return ai.inference_records(
        body.model_name,
        body.model_version,
        body.latency_ms,
        input_tokens=body.input_tokens,
        output_tokens=body.output_tokens,
        cost_usd=body.cost_usd,
        prediction=body.prediction,
        ground_truth=body.ground_truth,
        features=body.features,
        user_id=body.user_id,
        session_id=body.session_id,
        provider=body.provider,
        operation=body.operation,
        error_type=body.error_type,
        metadata=body.metadata,
        timestamp=body.timestamp,
        inference_id=body.inference_id,
        time_to_first_chunk_ms=body.time_to_first_chunk_ms,
        output_chunks=body.output_chunks,
    )


async def record_inference(call: Call[NoQuery, InferenceBody]) -> Recorded:
    """Commit one call together with those that arrive at the same time."""
    inference, *truth = records(call.runtime.ai, call.body)
    receipts = await gather(*map(call.live.commits.add, (inference, *truth)))
    return Recorded(inference.id, is_duplicate(receipts[0]))


def record_inferences(call: Call[NoQuery, InferenceBatch]) -> InferenceResults:
    """Commit a batch."""
    ai = call.runtime.ai
    verdicts = write_batch(
        call.body.inferences,
        lambda item: records(ai, decode_json(item, _decode_inference, "inference")),
        call.live.commits.commit_now,
    )
    n = counts(verdicts)
    return InferenceResults([_result(one) for one in verdicts], n["accepted"], n["duplicate"], n["rejected"])


def _result(verdict: Verdict) -> InferenceResult:
    return InferenceResult(verdict.receipt.outcome, verdict.id, verdict.receipt.reason)


def models(call: Call[ModelQuery, NoBody]) -> Models:
    """Answer what every model did."""
    query = call.query
    return call.runtime.ai.list_models(
        window=query.window, as_of=query.as_of, service=query.service, environment=query.environment
    )


def evaluations(call: Call[ModelQuery, NoBody]) -> Evaluations:
    """Answer what answers of models were given by whoever evaluated them."""
    query = call.query
    return call.runtime.ai.get_evaluations(
        query.window, as_of=query.as_of, service=query.service, environment=query.environment
    )


def model(call: Call[ModelQuery, NoBody]) -> Snapshot:
    """Answer what can be said about the model that the path names."""
    return _snapshot(call, call.path["name"], call.path["version"])


def model_detail(call: Call[NamedModelQuery, NoBody]) -> Snapshot:
    """Answer what can be said about the model that the query names."""
    return _snapshot(call, call.query.name, call.query.version)


def _snapshot(call: Call[ModelQuery, NoBody] | Call[NamedModelQuery, NoBody], name: str, version: str) -> Snapshot:
    ai, query = call.runtime.ai, call.query
    if not ai.knows_model(name, version):
        raise NotFound("model", f"{name} {version}")
    return ai.get_model_performance_snapshot(
        name, version, window=query.window, as_of=query.as_of, service=query.service, environment=query.environment
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    get(
        f"{_BASE}/models", models, ModelQuery,
        "Every model", "A snapshot of every model over the window.",
    ),
    get(
        f"{_BASE}/models/detail", model_detail, NamedModelQuery,
        "One model, named in the query", "A snapshot of the model over the window.",
    ),
    get(
        f"{_BASE}/models/{{name}}/{{version}}", model, ModelQuery,
        "One model, named in the path (a `/` in a name is `%2F`)", "A snapshot of the model over the window.",
    ),
    get(
        f"{_BASE}/evaluations", evaluations, ModelQuery,
        "Every evaluation of answers", "Scores and labels by model and name of the evaluation.",
    ),
    post(
        f"{_BASE}/inferences/record", record_inference, InferenceBody,
        "Record one call of a model", "The id, once the call is committed.",
    ),
    post(
        f"{_BASE}/inferences/batch", record_inferences, InferenceBatch,
        "Record up to 1,000 calls", "What became of each call.",
        status=200, max_bytes=MAX_BATCH_BYTES,
    ),
)  # fmt: skip
