"""One model in detail, what it is registered as, and what its predictions should have been."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from exporter.http.batch import is_duplicate
from exporter.http.fields import JsonObject, Name, RecordId, body_of
from exporter.http.query import ModelQuery
from exporter.http.types import API, AnyEndpoint, Call, NoBody, NoQuery, get, post
from otel_measure.ai.drift import Drift
from otel_measure.ai.quality import Accuracy
from otel_measure.ai.record import InferenceBuilder
from otel_measure.ai.reports import Cost, Latency
from otel_measure.errors import NotFound
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import GroundTruth

_BASE: Final = f"{API}/ai"
_MODEL: Final = f"{_BASE}/models/{{name}}/{{version}}"


class RegisterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is, with the arguments of `register_model`."""

    model_name: Name
    model_version: Name
    model_type: Annotated[str, Meta(extra_json_schema={"enum": [member.value for member in ModelType]})] = "other"
    metadata: JsonObject | None = None
    targets: dict[str, float] | None = None


class Registered(msgspec.Struct, frozen=True):
    """The model as it is registered now."""

    model_name: str
    model_version: str
    model_type: str


GroundTruthBody: Final = body_of(
    InferenceBuilder.truth, GroundTruth, "GroundTruthBody", "What a prediction should have been, learnt later.",
    ground_truth_id=RecordId,
)  # fmt: skip


class TruthReceipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The inference whose truth is committed; `duplicate` when it was there already."""

    inference_id: str
    duplicate: bool = False


def register(call: Call[NoQuery, RegisterBody]) -> Registered:
    """Commit what a model is."""
    body = call.body
    call.runtime.ai.register_model(
        body.model_name, body.model_version, body.model_type, body.metadata, targets=body.targets
    )
    return Registered(body.model_name, body.model_version, body.model_type)


async def record_ground_truth(call: Call[NoQuery, msgspec.Struct]) -> TruthReceipt:
    """Commit one truth together with what arrives at the same time."""
    truth = call.runtime.ai.ground_truth_record(**msgspec.structs.asdict(call.body))
    return TruthReceipt(truth.inference_id, is_duplicate(await call.live.commits.add(truth)))


def _named(call: Call[ModelQuery, NoBody]) -> tuple[str, str, dict[str, Any]]:
    """Return the model of the path and what narrows the question; 404 for a model nobody has heard of."""
    name, version, query = call.path["name"], call.path["version"], call.query
    if not call.runtime.ai.knows_model(name, version):
        raise NotFound("model", f"{name} {version}")
    at = {
        "window": query.window,
        "as_of": query.as_of,
        "service": query.service,
        "environment": query.environment,
    }
    return name, version, at


def latency(call: Call[ModelQuery, NoBody]) -> Latency:
    """Answer how long calls took."""
    name, version, at = _named(call)
    return call.runtime.ai.get_latency_metrics(name, version, **at)


def cost(call: Call[ModelQuery, NoBody]) -> Cost:
    """Answer what calls cost."""
    name, version, at = _named(call)
    return call.runtime.ai.get_cost_metrics(name, version, **at)


def accuracy(call: Call[ModelQuery, NoBody]) -> Accuracy | None:
    """Answer how right the predictions were."""
    name, version, at = _named(call)
    return call.runtime.ai.get_accuracy_metrics(name, version, **at)


def drift(call: Call[NoQuery, NoBody]) -> Drift | None:
    """Answer how far the data moved; null without a reference or with too few records."""
    name, version = call.path["name"], call.path["version"]
    if not call.runtime.ai.knows_model(name, version):
        raise NotFound("model", f"{name} {version}")
    return call.runtime.ai.detect_model_drift(name, version)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    get(f"{_MODEL}/latency", latency, ModelQuery, "How long its calls take", "Percentiles with their error bound."),
    get(f"{_MODEL}/cost", cost, ModelQuery, "What its calls cost", "Cost and tokens with their coverage."),
    get(f"{_MODEL}/accuracy", accuracy, ModelQuery, "How right it is", "Accuracy over the labelled predictions."),
    get(f"{_MODEL}/drift", drift, NoQuery, "How far its data moved", "Drift against the reference, or null."),
    post(
        f"{_BASE}/models/register", register, RegisterBody,
        "Say what a model is", "The model, once it is committed.",
    ),
    post(
        f"{_BASE}/ground-truths/record", record_ground_truth, GroundTruthBody,
        "Say what a prediction should have been", "The inference, once the truth is committed.",
    ),
)  # fmt: skip
