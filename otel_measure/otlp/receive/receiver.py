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
from otel_measure.definitions.signals import inference_id
from otel_measure.definitions.streams import Point
from otel_measure.errors import NoStore, StoreRejected
from otel_measure.otlp.receive import logs, metrics, traces
from otel_measure.otlp.receive.senders import Resource
from otel_measure.recorder import Recorder
from otel_measure.records.kinds import EvaluationResult
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Receipt
from otel_measure.store.types.streams import Ingested, Sender

_log = logging.getLogger(__name__)
_MINUTE_US: Final = 60_000_000
_MAX_MESSAGE_CHARS: Final = 2000


class CountReceived(Protocol):
    """Counts items of a signal by what became of them."""

    def __call__(self, signal: str, outcome: str, n: int, reason: str | None = None) -> None:
        """CountReceived `n` items."""


class Verdict(NamedTuple):
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
        spans_wait_s: how long calls that only spans tell of wait for metrics.

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
        spans_wait_s: int = 90,
    ) -> None:
        self._kept = store
        self._recorder = recorder
        self._pricer = pricer
        self.interpret = interpreter(pricer)
        self._count = count
        self._now_us = now_us
        self._event_types = event_types
        self._wait_us = spans_wait_s * 1_000_000
        self._heard: dict[str, int] = {}

    @property
    def _store(self) -> Store:
        if self._kept is None:
            raise NoStore("an OTLP receiver")
        return self._kept

    def metrics(self, request: ExportMetricsServiceRequest) -> Verdict:
        """Take in data points; one sent again changes nothing."""
        now = self._now_us()
        found = metrics.interpret(request.resource_metrics, now)
        ingested = self._ingest(found.points)
        self._hear(found.resources, now)
        refused = Counter(ingested.refused)
        tally = self._tally("metrics")
        tally("accepted", ingested.accepted)
        tally("duplicate", ingested.duplicate)
        tally("own", found.own)
        tally("ignored", found.ignored)
        tally("rejected", found.refused.total(), "invalid")
        for reason, n in refused.items():
            tally("rejected", n, reason)
        return _verdict(found.refused + Counter({_WHY.get(reason, reason): n for reason, n in refused.items()}))

    def _ingest(self, points: Sequence[Point]) -> Ingested:
        """Take in points; one that nobody foresaw is found by halves, so that its neighbours stand."""
        try:
            return self._store.ingest(points, self.interpret)
        except StoreRejected as fault:
            if len(points) == 1:
                _log.warning("a data point of %r cannot be kept: %r", points[0].name, fault)
                return Ingested(0, 0, {"invalid": 1})
        middle = len(points) // 2
        one, other = self._ingest(points[:middle]), self._ingest(points[middle:])
        refused = Counter(one.refused) + Counter(other.refused)
        return Ingested(one.accepted + other.accepted, one.duplicate + other.duplicate, refused)

    def logs(self, request: ExportLogsServiceRequest) -> Verdict:
        """Take in events; one sent again is a duplicate by its id."""
        found = logs.interpret(request.resource_logs, self._now_us(), self._event_types)
        store = self._store
        store.received.has_facts(found.has_facts, self._now_us())
        records = [self._with_model(r) if isinstance(r, EvaluationResult) else r for r in found.records]
        receipts = self._recorder.commit(records, own=False) if records else []
        tally = self._tally("logs")
        refused = found.refused + self._settle(tally, receipts)
        tally("ignored", found.ignored)
        tally("rejected", found.refused.total(), "invalid")
        return _verdict(refused)

    def _with_model(self, record: EvaluationResult) -> EvaluationResult:
        """Return an evaluation with the model whose answer it is about, where the store knows the call."""
        if record.model and record.version:
            return record
        told = record.inference_id or (record.trace_id and inference_id(record.trace_id, record.span_id or ""))
        model = self._store.received.model_of(told) if told else None
        if model is not None and record.model in {"", model[0]}:
            return msgspec.structs.replace(record, model=model[0], version=model[1])
        return msgspec.structs.replace(record, version=semconv.VERSION_UNKNOWN) if record.model else record

    def traces(self, request: ExportTraceServiceRequest) -> Verdict:
        """Take in calls of models; all other spans are let pass."""
        now = self._now_us()
        store = self._store
        found = traces.interpret(request.resource_spans, self._pricer, now)
        counting = store.received.wait(found.calls, now, now + self._wait_us) if found.calls else ()
        receipts = self._recorder.commit(counting, own=False) if counting else []
        tally = self._tally("traces")
        refused = found.refused + self._settle(tally, receipts)
        tally("waiting", len(found.calls) - len(counting))
        tally("own", found.own)
        tally("ignored", found.ignored)
        tally("rejected", found.refused.total(), "invalid")
        return _verdict(refused)

    def refuse(self, signal: str, refused: Counter[str]) -> Verdict:
        """Count items that were passed over before they were decoded, by the rule that they break."""
        self._tally(signal)("rejected", refused.total(), "too_large")
        return _verdict(refused)

    def families(self) -> list[Family]:
        """Return who sends, with the attributes of their resources: what the `target_info` of Prometheus is."""
        if self._kept is None:
            return []
        samples = [Sample(_target(sender), 1.0) for sender in self._kept.received.senders(self._now_us() - STALE_US)]
        return [Family(semconv.TARGET_INFO, "gauge", "", "Which process sends, and what it is.", (), samples)]

    def settle(self) -> None:
        """CountReceived the calls for which no metrics came in time."""
        if self._kept is None:
            return
        due = self._kept.received.due(self._now_us())
        if due:
            self._recorder.commit(due, own=False)
            self._kept.received.settled(due)

    def _tally(self, signal: str) -> Callable[..., None]:
        def tally(outcome: str, n: int, reason: str | None = None) -> None:
            if n:
                self._count(signal, outcome, n, reason)

        return tally

    def _settle(self, tally: Callable[..., None], receipts: Sequence[Receipt]) -> Counter[str]:
        """CountReceived what became of records; return those that the store refused, by reason."""
        refused: Counter[str] = Counter()
        for receipt, n in Counter(receipts).items():
            if receipt.outcome == "rejected":
                refused[receipt.reason or "not accepted"] += n
            tally(receipt.outcome, n, "store" if receipt.outcome == "rejected" else None)
        return refused

    def _hear(self, resources: Iterable[Resource], now: int) -> None:
        """Note senders, each once a minute."""
        new = {r.source: r for r in resources if now - self._heard.get(r.source, -_MINUTE_US) >= _MINUTE_US}
        if not new:
            return
        if len(self._heard) > 10_000:
            self._heard.clear()
        self._heard.update(dict.fromkeys(new, now))
        self._store.received.heard_of(
            Sender(r.origin.service, r.origin.environment, r.instance, r.attributes, now) for r in new.values()
        )


def _target(sender: Sender) -> str:
    own = {
        semconv.ATTR_SERVICE_NAME: sender.service,
        semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME: sender.environment,
        semconv.ATTR_SERVICE_INSTANCE_ID: sender.instance,
    }
    return escaped({**sender.attributes, **own}.items())


_WHY: Final = {
    "invalid": "a point that cannot be kept",
    "out_of_order": "older than what the same series said already",
    "too_late": "a delta that is older than an hour by its series",
    "bounds": "a delta histogram whose bounds differ from those before",
    "kind": "a series that was of another kind before: a gauge, a sum and a histogram need a name each",
    "too_large": "a delta whose sum with those before would be larger than can be kept",
    "cardinality": "a metric has too many series; drop attributes of high cardinality",
}


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on a request that was taken in by portions."""
    given = [verdict for verdict in verdicts if verdict.rejected]
    message = "; ".join(dict.fromkeys(verdict.message for verdict in given))
    return Verdict(sum(verdict.rejected for verdict in given), message[:_MAX_MESSAGE_CHARS])


def _verdict(refused: Counter[str]) -> Verdict:
    said = "; ".join(f"{n} × {why}" if n > 1 else why for why, n in sorted(refused.items()))
    return Verdict(refused.total(), said[:_MAX_MESSAGE_CHARS])
