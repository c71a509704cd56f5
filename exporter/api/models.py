"""Models: their calls, what each is registered as, and what can be said about each."""

from __future__ import annotations

import datetime as dt
from asyncio import gather
from typing import Annotated, Any, Final

import msgspec
from anyio import to_thread
from msgspec import Meta

from exporter.api.tables import ACCURACY, DRIFT, FAIRNESS, MODEL
from exporter.http.batch import ItemReceipt, counts, is_duplicate, write_batch
from exporter.http.body import decode_json
from exporter.http.fields import BATCH, Groups, JsonObject, Name, RecordId, SentAt, body_of, item_like
from exporter.http.lists import Listed, Listing, ListTotal
from exporter.http.query import (
    CallsQuery,
    ChosenModelQuery,
    ComparisonQuery,
    EnvironmentQuery,
    FairnessQuery,
    ModelQuery,
    ModelSeriesQuery,
    NamedModelQuery,
    SeriesQuery,
    SpendingQuery,
    narrowing,
    series_narrowing,
)
from exporter.http.types import API, MAX_BATCH_BYTES, AnyRoute, Call, NoBody, NoQuery, get, post
from otel_measure.ai import reports
from otel_measure.ai.agents import Agents
from otel_measure.ai.call_facts import MAX_CALLS, ModelErrors, NotableCalls
from otel_measure.ai.comparison import VersionComparison
from otel_measure.ai.drift import Drift
from otel_measure.ai.evaluations import Evaluations
from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.latency import Latency
from otel_measure.ai.model_pages import SEARCHED
from otel_measure.ai.quality import Accuracy
from otel_measure.ai.record import InferenceBuilder
from otel_measure.ai.service import AiModelService
from otel_measure.ai.spending import SPENDING_KEYS, SPENDING_SEARCHED, Spending
from otel_measure.definitions.series import Series
from otel_measure.errors import NotFound
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import GroundTruth, Inference, Prediction, Record
from otel_measure.store.types.facts import Outcome

_BASE: Final = f"{API}/ai"
_MODEL: Final = f"{_BASE}/models/{{name}}/{{version}}"


InferenceBody: Final = body_of(
    InferenceBuilder.build, Inference, "InferenceBody",
    "One call of a model, with the arguments of `record_inference`.",
    model_name=Name,
    model_version=Name,
    inference_id=RecordId,
    groups=Groups,
    without=frozenset({"usage"}),
    also={"ground_truth": Prediction},
)  # fmt: skip


class Recorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The id of a committed call; `duplicate` when it was there already."""

    inference_id: str
    duplicate: bool = False


class InferenceBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 calls; `sent_at` is that of all that say none themselves."""

    inferences: Annotated[list[Annotated[msgspec.Raw, item_like(InferenceBody)]], BATCH]
    sent_at: SentAt | None = None


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


_decode_inference: Final = msgspec.json.Decoder(InferenceBody).decode


def records(ai: AiModelService, body: msgspec.Struct, sent_at: dt.datetime | None = None) -> tuple[Record, ...]:
    """Return the records that a body stands for, validated: the inference, and its truth when that is given."""
    given = msgspec.structs.asdict(body)
    return ai.inference_records(**given | {"sent_at": given["sent_at"] or sent_at})


async def record_inference(call: Call[NoQuery, msgspec.Struct]) -> Recorded:
    """Commit one call together with those that arrive at the same time."""
    if not call.runtime.ai.has_prices:  # the first one of a server, for which the event loop shall not wait
        await to_thread.run_sync(call.runtime.ai.load_prices)
    inference, *truth = records(call.runtime.ai, call.body)
    receipts = await gather(*map(call.commits.add, (inference, *truth)))
    return Recorded(inference.id, is_duplicate(receipts[0]))


def record_inferences(call: Call[NoQuery, InferenceBatch]) -> InferenceResults:
    """Commit a batch."""
    ai, sent_at = call.runtime.ai, call.body.sent_at
    receipts = write_batch(
        call.body.inferences,
        lambda item: records(ai, decode_json(item, _decode_inference, "inference"), sent_at),
        call.commits.commit_now,
    )
    n = counts(receipts)
    return InferenceResults([_result(one) for one in receipts], n["accepted"], n["duplicate"], n["rejected"])


def _result(item: ItemReceipt) -> InferenceResult:
    return InferenceResult(item.receipt.outcome, item.id, item.receipt.reason)


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
    return TruthReceipt(truth.inference_id, is_duplicate(await call.commits.add(truth)))


def models(call: Call[ModelQuery, NoBody]) -> Listed[reports.Models]:
    """Answer what every model did; those of the page alone are judged."""
    page, *counts = call.runtime.ai.models_page(call.page, **narrowing(call.query))
    return Listed(page, {"models": ListTotal(*counts)})


def summary(call: Call[ModelQuery, NoBody]) -> reports.ModelsSummary:
    """Answer what all models did together."""
    return call.runtime.ai.get_models_summary(**narrowing(call.query))


def errors(call: Call[ChosenModelQuery, NoBody]) -> ModelErrors:
    """Answer how calls failed."""
    return call.runtime.ai.get_errors(call.query.model, call.query.version, **narrowing(call.query))


def version_errors(call: Call[ModelQuery, NoBody]) -> ModelErrors:
    """Answer how calls of one version of a model failed."""
    name, version = _known(call)
    return call.runtime.ai.get_errors(name, version, **narrowing(call.query))


def calls(call: Call[CallsQuery, NoBody]) -> NotableCalls:
    """Answer which calls were the slowest, or the dearest."""
    query = call.query
    return call.runtime.ai.get_calls(query.sort, query.model, query.version, limit=MAX_CALLS, **narrowing(query))


def evaluations(call: Call[ModelQuery, NoBody]) -> Evaluations:
    """Answer what answers of models were given by whoever evaluated them."""
    return call.runtime.ai.get_evaluations(**narrowing(call.query))


def agents(call: Call[ModelQuery, NoBody]) -> Agents:
    """Answer what agents and tools did."""
    return call.runtime.ai.get_agents(**narrowing(call.query))


def spending(call: Call[SpendingQuery, NoBody]) -> Listed[Spending]:
    """Answer what calls cost by whom and what they were made for."""
    page, *counts = call.runtime.ai.spending_page(call.page, call.query.by, **narrowing(call.query))
    return Listed(page, {"rows": ListTotal(*counts)})


def model(call: Call[ModelQuery, NoBody]) -> reports.Snapshot:
    """Answer what can be said about the model that the path names."""
    name, version = _known(call)
    return call.runtime.ai.get_model_performance_snapshot(name, version, **narrowing(call.query))


def model_detail(call: Call[NamedModelQuery, NoBody]) -> reports.Snapshot:
    """Answer what can be said about the model that the query names."""
    query, ai = call.query, call.runtime.ai
    _require_known(ai, query.name, query.version)
    return ai.get_model_performance_snapshot(query.name, query.version, **narrowing(query))


def comparison(call: Call[ComparisonQuery, NoBody]) -> VersionComparison:
    """Answer how two versions of a model differ."""
    query, ai = call.query, call.runtime.ai
    for version in (query.version, query.baseline):
        _require_known(ai, query.model, version)
    return ai.get_version_comparison(query.model, query.version, query.baseline, **narrowing(query))


def latency(call: Call[ModelQuery, NoBody]) -> Latency:
    """Answer how long calls took."""
    name, version = _known(call)
    return call.runtime.ai.get_latency_metrics(name, version, **narrowing(call.query))


def cost(call: Call[ModelQuery, NoBody]) -> reports.Cost:
    """Answer what calls cost."""
    name, version = _known(call)
    return call.runtime.ai.get_cost_metrics(name, version, **narrowing(call.query))


def accuracy(call: Call[ModelQuery, NoBody]) -> Accuracy | None:
    """Answer how right the predictions were."""
    name, version = _known(call)
    return call.runtime.ai.get_accuracy_metrics(name, version, **narrowing(call.query))


def fairness(call: Call[FairnessQuery, NoBody]) -> FairnessReport:
    """Answer how groups are treated."""
    name, version = _known(call)
    return call.runtime.ai.get_fairness_metrics(name, version, positive=call.query.positive, **narrowing(call.query))


def drift(call: Call[EnvironmentQuery, NoBody]) -> Drift | None:
    """Answer how far the data moved; null without a reference or with too few records."""
    name, version = _known(call)
    return call.runtime.ai.detect_model_drift(name, version, environment=call.query.environment)


def series(call: Call[ModelSeriesQuery, NoBody]) -> Series:
    """Answer what models did over time."""
    query = call.query
    return call.runtime.ai.get_model_series(
        query.model, query.version, group_by=query.group_by, **series_narrowing(query)
    )


def version_series(call: Call[SeriesQuery, NoBody]) -> Series:
    """Answer what one version of a model did over time."""
    name, version = _known(call)
    return call.runtime.ai.get_model_series(name, version, **series_narrowing(call.query))


def _known(call: Call[Any, NoBody]) -> tuple[str, str]:
    """Return name and version of the model that the path names.

    Raises:
        NotFound: nobody has heard of it.
    """
    name, version = call.path_params["name"], call.path_params["version"]
    _require_known(call.runtime.ai, name, version)
    return name, version


def _require_known(ai: AiModelService, name: str, version: str) -> None:
    if not ai.knows_model(name, version):
        raise NotFound("model", f"{name} {version}")


_OF_CALLS: Final = ("model_name", "model_version", "service", "provider", "operation", "error_type", "trace_id")
_ERRORS: Final = (Listing("errors", ("error_type", "trace_id")),)

ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{_BASE}/models", models, ModelQuery,
        "Every model", "A snapshot of every model over the window.",
        lists=(Listing("models", SEARCHED),),
    ),
    get(
        f"{_BASE}/summary", summary, ModelQuery,
        "All models together", "Latency, cost and errors over all calls of the window.",
    ),
    get(
        f"{_BASE}/models/detail", model_detail, NamedModelQuery,
        "One model, named in the query", "A snapshot of the model over the window.", tables=MODEL,
    ),
    get(
        f"{_BASE}/models/{{name}}/{{version}}", model, ModelQuery,
        "One model, named in the path (a `/` in a name is `%2F`)", "A snapshot of the model over the window.",
        tables=MODEL,
    ),
    get(
        f"{_BASE}/series", series, ModelSeriesQuery,
        "What models did over time", "A number per column and step: calls, errors, latencies, tokens and cost.",
    ),
    get(
        f"{_MODEL}/series", version_series, SeriesQuery,
        "What it did over time", "A number per column and step: calls, errors, latencies, tokens and cost.",
    ),
    get(
        f"{_BASE}/errors", errors, ChosenModelQuery,
        "How calls failed", "Errors by type, each with its first and last time and a trace.",
        lists=_ERRORS,
    ),
    get(
        f"{_MODEL}/errors", version_errors, ModelQuery,
        "How its calls failed", "Errors by type, each with its first and last time and a trace.",
        lists=_ERRORS,
    ),
    get(
        f"{_BASE}/calls", calls, CallsQuery,
        "The slowest or dearest calls", "Single calls, each with its trace, and no text.",
        lists=(Listing("calls", _OF_CALLS, has_own_order=True),),
    ),
    get(
        f"{_BASE}/compare", comparison, ComparisonQuery,
        "Two versions of a model side by side", "Latency, errors, cost and tokens, each with its change and interval.",
        lists=(Listing("numbers", ("key", "unit", "verdict")),),
    ),
    get(
        f"{_BASE}/evaluations", evaluations, ModelQuery,
        "Every evaluation of answers", "Scores and labels by model and name of the evaluation.",
        lists=(Listing("evaluations", ("model_name", "model_version", "evaluation")),),
    ),
    get(
        f"{_BASE}/agents", agents, ModelQuery,
        "Every agent and tool", "Runs with their duration, calls, tokens, cost and errors, tools, and loops.",
        lists=(
            Listing("agents", ("agent", "kind")),
            Listing("tools", ("tool", "kind")),
            Listing("costliest_runs", ("agent", "trace_id", "error_type")),
        ),
    ),
    get(
        f"{_BASE}/spending", spending, SpendingQuery,
        "What calls cost by user, repository and model", "Calls, tokens and cost, the dearest first.", access="admin",
        lists=(Listing("rows", SPENDING_SEARCHED, keys=SPENDING_KEYS),),
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
    get(f"{_MODEL}/latency", latency, ModelQuery, "How long its calls take", "Percentiles with their error bound."),
    get(f"{_MODEL}/cost", cost, ModelQuery, "What its calls cost", "Cost and tokens with their coverage."),
    get(f"{_MODEL}/accuracy", accuracy, ModelQuery, "How right it is", "Accuracy over the labelled predictions.",
        tables=ACCURACY),
    get(f"{_MODEL}/fairness", fairness, FairnessQuery, "How it treats groups", "Rates and gaps by attribute.",
        tables=FAIRNESS),
    get(f"{_MODEL}/drift", drift, EnvironmentQuery, "How far its data moved", "Drift against the reference, or null.",
        tables=DRIFT),
    post(
        f"{_BASE}/models/register", register, RegisterBody,
        "Say what a model is", "The model, once it is committed.",
    ),
    post(
        f"{_BASE}/ground-truths/record", record_ground_truth, GroundTruthBody,
        "Say what a prediction should have been", "The inference, once the truth is committed.",
    ),
)  # fmt: skip
