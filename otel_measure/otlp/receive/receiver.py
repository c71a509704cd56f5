"""What becomes of OTLP requests: points to streams and models, events to records, spans to calls of models."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_measure.ai.aggregates import interpreter
from otel_measure.ai.pricing import Pricer
from otel_measure.conventions import semconv
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.exposition import STALE_US, Family, Sample
from otel_measure.definitions.same_calls import Telling
from otel_measure.definitions.signals import inference_id
from otel_measure.definitions.streams import Point
from otel_measure.errors import NoStore, StoreRejected
from otel_measure.otlp.receive import logs, metrics, traces
from otel_measure.otlp.receive.senders import Resource
from otel_measure.recorder import Recorder
from otel_measure.records.kinds import EvaluationResult, Record
from otel_measure.store.protocol import QualityQuestions, Store
from otel_measure.store.types.facts import Receipt
from otel_measure.store.types.streams import Ingested, Sender

_log = logging.getLogger(__name__)
_MINUTE_US: Final = 60_000_000
_MAX_MESSAGE_CHARS: Final = 2000


class CountReceived(Protocol):
    """Counts items of a signal by what became of them."""

    def __call__(self, signal: str, outcome: str, n: int, reason: str | None = None) -> None:
        """Count `n` items."""


class RefusedItems(NamedTuple):
    """How many items were refused, and why; "" when none was."""

    rejected: int
    message: str


class Receiver:
    """Takes in requests of this process.

    Args:
        store: keeps what comes; without one every request raises `NoStore`.
        recorder: commits records.
        pricer: prices calls.
        count: told of every item.
        now_us: the clock.
        event_types: see `logs.interpret`.

    Attributes:
        interpret: tells what growth of series means.
    """

    def __init__(
        self,
        store: Store | None,
        recorder: Recorder,
        pricer: Pricer,
        count: CountReceived,
        now_us: Callable[[], int],
        event_types: Mapping[str, str],
    ) -> None:
        self._optional_store = store
        self._recorder = recorder
        self._pricer = pricer
        self.interpret = interpreter(pricer)
        self._count = count
        self._now_us = now_us
        self._event_types = event_types
        self._noted: dict[str, int] = {}

    @property
    def _store(self) -> Store:
        if self._optional_store is None:
            raise NoStore("an OTLP receiver")
        return self._optional_store

    def metrics(self, request: ExportMetricsServiceRequest) -> RefusedItems:
        """Take in data points; one sent again changes nothing."""
        now = self._now_us()
        interpreted = metrics.interpret(request.resource_metrics, now)
        ingested = self._ingest(interpreted.points)
        self._note_senders(interpreted.resources, now)
        refused = Counter(ingested.refused)
        tally = self._tally("metrics")
        tally("accepted", ingested.accepted)
        tally("duplicate", ingested.duplicate)
        tally("own", interpreted.own)
        tally("rejected", interpreted.refused.total(), "invalid")
        for reason, n in refused.items():
            tally("rejected", n, reason)
        return _refusal(
            interpreted.refused + Counter({_REASONS.get(reason, reason): n for reason, n in refused.items()})
        )

    def _ingest(self, points: Sequence[Point]) -> Ingested:
        """Take in points; one that nobody foresaw is found by halves, so that its neighbours stand."""
        try:
            return self._store.ingest(points, self.interpret)
        except StoreRejected as fault:
            if len(points) == 1:
                _log.warning("a data point of %r cannot be kept: %r", points[0].name, fault)
                return Ingested(0, 0, {"invalid": 1})
        middle = len(points) // 2
        first, second = self._ingest(points[:middle]), self._ingest(points[middle:])
        refused = Counter(first.refused) + Counter(second.refused)
        return Ingested(first.accepted + second.accepted, first.duplicate + second.duplicate, refused)

    def logs(self, request: ExportLogsServiceRequest, made_ids: logs.MadeIds | None = None) -> RefusedItems:
        """Take in events; one sent again is a duplicate by its id.

        Args:
            request: all of a request, or a portion of it.
            made_ids: those of all portions.
        """
        interpreted = logs.interpret(request.resource_logs, self._pricer, self._now_us(), self._event_types, made_ids)
        tally = self._tally("logs")
        refused = interpreted.refused + self._take_tellings(tally, interpreted.calls)
        records = self._with_models(interpreted.records)  # with the models of calls of this very request, too
        receipts = self._recorder.commit(records, own=False) if records else []
        refused += self._count_receipts(tally, receipts)
        tally("ignored", interpreted.ignored)
        tally("rejected", interpreted.refused.total(), "invalid")
        return _refusal(refused)

    def _with_models(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return records, evaluations with the model whose answer they are about, where the store knows the call."""
        if not any(isinstance(record, EvaluationResult) for record in records):
            return records
        with self._store.asking() as moment:
            return [_with_model(r, moment.quality) if isinstance(r, EvaluationResult) else r for r in records]

    def traces(self, request: ExportTraceServiceRequest) -> RefusedItems:
        """Take in calls of models; of all other spans, which stands inside which."""
        interpreted = traces.interpret(request.resource_spans, self._pricer, self._now_us())
        tally = self._tally("traces")
        refused = interpreted.refused + self._take_tellings(tally, interpreted.tellings)
        tally("own", interpreted.own)
        tally("ignored", sum(each.record is None for each in interpreted.tellings) - interpreted.own)
        tally("rejected", interpreted.refused.total(), "invalid")
        return _refusal(refused)

    def refuse(self, signal: str, refused: Counter[str]) -> RefusedItems:
        """Count items that were passed over before they were decoded, by the rule that they break."""
        self._tally(signal)("rejected", refused.total(), "too_large")
        return _refusal(refused)

    def families(self) -> list[Family]:
        """Return who sends, with the attributes of their resources: what the `target_info` of Prometheus is."""
        if self._optional_store is None:
            return []
        with self._optional_store.asking() as moment:
            senders = moment.streams.senders(self._now_us() - STALE_US)
        samples = [Sample(_target(sender), 1.0) for sender in senders]
        return [Family(semconv.TARGET_INFO, "gauge", "", "Which process sends, and what it is.", (), samples)]

    def _take_tellings(self, tally: Callable[..., None], told: Sequence[Telling]) -> Counter[str]:
        """Have the store take what tells of calls, and count what became of it; return what was refused, by reason."""
        store = self._store
        if not told:
            return Counter()
        try:
            taken = store.take_tellings(told)
        except StoreRejected as fault:
            if len(told) == 1:
                _log.warning("what tells of a call cannot be kept: %r", fault)
                tally("rejected", 1, "invalid")
                return Counter({"a span or fact that cannot be kept": 1})
            middle = len(told) // 2
            return self._take_tellings(tally, told[:middle]) + self._take_tellings(tally, told[middle:])
        outcomes = Counter(taken.outcomes)
        self._count_reassigned(taken.reassigned)
        for outcome in ("accepted", "same_call", "duplicate"):
            tally(outcome, outcomes[outcome])
        refused = Counter({_REASONS[each]: n for each in ("too_old", "erased") if (n := outcomes[each])})
        tally("rejected", refused.total(), "store")
        return refused

    def count_signals(self) -> None:
        """Count what metrics tell of calls beyond what is told of them one by one."""
        if self._optional_store is not None:
            self._count_reassigned(self._optional_store.count_signals(self.interpret, self._now_us()))

    def _count_reassigned(self, calls: int) -> None:
        if calls:
            self._count("calls", "reassigned", calls)

    def _tally(self, signal: str) -> Callable[..., None]:
        def tally(outcome: str, n: int, reason: str | None = None) -> None:
            if n:
                self._count(signal, outcome, n, reason)

        return tally

    def _count_receipts(self, tally: Callable[..., None], receipts: Sequence[Receipt]) -> Counter[str]:
        """Count what became of records; return those that the store refused, by reason."""
        refused: Counter[str] = Counter()
        for receipt, n in Counter(receipts).items():
            if receipt.outcome == "rejected":
                refused[receipt.reason or "not accepted"] += n
            tally(receipt.outcome, n, "store" if receipt.outcome == "rejected" else None)
        return refused

    def _note_senders(self, resources: Iterable[Resource], now: int) -> None:
        """Note senders, each once a minute; also when the clock was set back meanwhile."""
        new = {r.source: r for r in resources if abs(now - self._noted.get(r.source, now - _MINUTE_US)) >= _MINUTE_US}
        if not new:
            return
        if len(self._noted) > 10_000:
            self._noted.clear()
        self._noted.update(dict.fromkeys(new, now))
        self._store.note_senders(
            Sender(r.origin.service, r.origin.environment, r.instance, r.attributes, now) for r in new.values()
        )


def _with_model(record: EvaluationResult, quality: QualityQuestions) -> EvaluationResult:
    if record.model and record.version:
        return record
    call = record.inference_id or (record.trace_id and inference_id(record.trace_id, record.span_id or ""))
    model = quality.model_of(call) if call else None
    if model is not None and record.model in {"", model[0]}:
        return msgspec.structs.replace(record, model=model[0], version=model[1])
    return msgspec.structs.replace(record, version=semconv.VERSION_UNKNOWN) if record.model else record


def _target(sender: Sender) -> str:
    own = {
        semconv.ATTR_SERVICE_NAME: sender.service,
        semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME: sender.environment,
        semconv.ATTR_SERVICE_INSTANCE_ID: sender.instance,
    }
    return escaped({**sender.attributes, **own}.items())


_REASONS: Final = {
    "too_old": "older than what retention keeps",
    "erased": "of a user who was erased",
    "invalid": "a point that cannot be kept",
    "out_of_order": "older than what the same series said already",
    "too_late": "a delta that is older than an hour by its series",
    "bounds": "a delta histogram whose bounds differ from those before",
    "kind": "a series that was of another kind before: a gauge, a sum and a histogram need a name each",
    "too_large": "a delta whose sum with those before would be larger than can be kept",
    "cardinality": "a metric has too many series; drop attributes of high cardinality",
    "names": "there are too many metrics; drop those that nobody looks at, and put what varies into attributes",
    "series": "all metrics together have too many series; drop attributes of high cardinality",
}


def together(refusals: Iterable[RefusedItems]) -> RefusedItems:
    """Return how many items were refused of a request that was taken in by portions, and why."""
    given = [each for each in refusals if each.rejected]
    message = "; ".join(dict.fromkeys(each.message for each in given))
    return RefusedItems(sum(each.rejected for each in given), message[:_MAX_MESSAGE_CHARS])


def _refusal(refused: Counter[str]) -> RefusedItems:
    message = "; ".join(f"{n} × {why}" if n > 1 else why for why, n in sorted(refused.items()))
    return RefusedItems(refused.total(), message[:_MAX_MESSAGE_CHARS])
