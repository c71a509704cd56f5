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
from otel_measure.conventions import semconv
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.arrivals import UNKNOWN_SOURCE, ArrivalSource, Outcome, Signal
from otel_measure.definitions.exposition import STALE_US, Family, Sample
from otel_measure.definitions.signals import inference_id, tells_of_calls
from otel_measure.definitions.streams import Point, StreamScope, stream_scope
from otel_measure.definitions.tellings import Telling
from otel_measure.definitions.windows import HOUR_US
from otel_measure.errors import NoStore, StoreRejected
from otel_measure.otlp.receive import logs, metrics, traces
from otel_measure.otlp.receive.arrivals import Arrivals, Turned, counted
from otel_measure.otlp.receive.senders import Resource
from otel_measure.otlp.sending import OtlpSenders, senders_report
from otel_measure.recorder import Recorder
from otel_measure.records.kinds import EvaluationResult, Record
from otel_measure.store.model_questions import QualityQuestions
from otel_measure.store.protocol import Store
from otel_measure.store.types.calls import TellingOutcome
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
        count: told of every item.
        now_us: the clock.
        rules: by which events of others are understood, and calls are priced.

    Attributes:
        interpret: tells what growth of series means.
    """

    def __init__(
        self,
        store: Store | None,
        recorder: Recorder,
        rules: logs.EventRules,
        count: CountReceived,
        now_us: Callable[[], int],
    ) -> None:
        self._optional_store = store
        self._recorder = recorder
        self._rules = rules
        self.interpret = interpreter(rules.pricer)
        self._count = count
        self._now_us = now_us
        self._noted: dict[str, int] = {}
        self._arrivals = Arrivals()

    @property
    def _store(self) -> Store:
        if self._optional_store is None:
            raise NoStore("an OTLP receiver")
        return self._optional_store

    def metrics(self, request: ExportMetricsServiceRequest) -> RefusedItems:
        """Take in data points; one sent again changes nothing."""
        now = self._now_us()
        interpreted = metrics.interpret(request.resource_metrics, now, keeps_text=self._rules.keeps_text)
        ingested = self._ingest(interpreted.points)
        self._note_senders(interpreted.resources, now)
        made = (
            (source, outcome, point.model_series is not None, point.scope, point.name, point.kind)
            for source, point, outcome in zip(interpreted.sources, interpreted.points, ingested.outcomes, strict=True)
        )
        self._arrivals.add("metrics", counted(made, _of_point) + interpreted.turned)
        refused = ingested.refused
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
                return Ingested(("invalid",))
        middle = len(points) // 2
        return Ingested(self._ingest(points[:middle]).outcomes + self._ingest(points[middle:]).outcomes)

    def logs(self, request: ExportLogsServiceRequest, made_ids: logs.MadeIds | None = None) -> RefusedItems:
        """Take in events; one sent again is a duplicate by its id.

        Args:
            request: all of a request, or a portion of it.
            made_ids: those of all portions.
        """
        interpreted = logs.interpret(request.resource_logs, self._rules, self._now_us(), made_ids)
        tally = self._tally("logs")
        told = self._take_tellings(interpreted.calls)
        refused = interpreted.refused + self._count_tellings(tally, told)
        records = self._with_models(interpreted.records)  # with the models of calls of this very request, too
        receipts = self._recorder.commit(records, own=False) if records else []
        refused += self._count_receipts(tally, receipts)
        calls = counted(zip(interpreted.call_sources, told, strict=True), _of_telling)
        others = counted(zip(interpreted.record_sources, receipts, strict=True), _of_receipt)
        self._arrivals.add("logs", calls + others + interpreted.turned)
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
        """Take in calls of models, runs of agents and uses of tools; of all other spans, which stands inside which."""
        interpreted = traces.interpret(request.resource_spans, self._rules.pricer, self._now_us())
        tally = self._tally("traces")
        told = self._take_tellings(interpreted.tellings)
        refused = interpreted.refused + self._count_tellings(tally, told)
        spans = zip(interpreted.sources, interpreted.tellings, told, strict=True)
        made = ((source, outcome, telling.record is None) for source, telling, outcome in spans if outcome != "span")
        self._arrivals.add("traces", counted(made, _of_span) + interpreted.turned)
        tally("own", interpreted.own)
        tally("ignored", interpreted.ignored)
        tally("rejected", interpreted.refused.total(), "invalid")
        return _refusal(refused)

    def refuse(self, signal: Signal, refused: Counter[str]) -> RefusedItems:
        """Count items that were passed over before they were decoded, by the rule that they break."""
        self._tally(signal)("rejected", refused.total(), "too_large")
        self._arrivals.add(signal, +Counter({Turned(UNKNOWN_SOURCE, "rejected", "too_large"): refused.total()}))
        return _refusal(refused)

    def senders(self) -> OtlpSenders:
        """Return who sent what in the last hour, in all processes that share the store, and what became of it.

        Raises:
            NoStore: there is none.
        """
        now = self._now_us()
        self._arrivals.tell(self._store, now)
        with self._store.asking() as moment:
            return senders_report(moment.streams.arrived(now - HOUR_US), now)

    def families(self) -> list[Family]:
        """Return who sends, with the attributes of their resources: what the `target_info` of Prometheus is."""
        if self._optional_store is None:
            return []
        with self._optional_store.asking() as moment:
            senders = moment.streams.senders(self._now_us() - STALE_US)
        samples = [Sample(_target(sender), 1.0) for sender in senders]
        return [Family(semconv.TARGET_INFO, "gauge", "", "Which process sends, and what it is.", (), samples)]

    def _take_tellings(self, told: Sequence[Telling]) -> list[TellingOutcome]:
        """Have the store take what tells of calls; return what became of each."""
        store = self._store
        if not told:
            return []
        try:
            taken = store.take_tellings(told)
        except StoreRejected as fault:
            if len(told) == 1:
                _log.warning("what tells of a call cannot be kept: %r", fault)
                return ["invalid"]
            middle = len(told) // 2
            return self._take_tellings(told[:middle]) + self._take_tellings(told[middle:])
        self._count_reassigned(taken.reassigned)
        return taken.outcomes

    def _count_tellings(self, tally: Callable[..., None], told: Sequence[TellingOutcome]) -> Counter[str]:
        """Count what became of what tells of calls; return what was refused, by reason."""
        outcomes = Counter(told)
        for outcome in ("accepted", "same_call", "duplicate"):
            tally(outcome, outcomes[outcome])
        refused = Counter({_REASONS[each]: n for each in ("too_old", "erased") if (n := outcomes[each])})
        tally("rejected", refused.total(), "store")
        tally("rejected", outcomes["invalid"], "invalid")
        return refused + Counter({_CANNOT_BE_KEPT: outcomes["invalid"]})

    def count_signals(self) -> None:
        """Count what metrics tell of calls beyond what is told of them one by one, and tell what came."""
        if self._optional_store is not None:
            now = self._now_us()
            self._count_reassigned(self._optional_store.count_signals(self.interpret, now))
            self._arrivals.tell(self._optional_store, now)

    def after_fork_in_child(self) -> None:
        """Leave what was counted, and the lock of it, to the parent, which tells the store."""
        self._arrivals = Arrivals()

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


def _of_point(made: tuple[ArrivalSource, str, bool, StreamScope, str, str]) -> Turned:
    """Return what became of a point: it tells of calls or of a host, is shown as a series, or was refused."""
    source, outcome, is_of_calls, scope, name, kind = made
    if outcome != "accepted":
        is_known = outcome == "duplicate"
        return (
            Turned(source, "duplicate", "") if is_known else Turned(source, "rejected", _REASONS.get(outcome, outcome))
        )
    if is_of_calls:
        return Turned(source, "call", "")
    if scope == "host":
        return Turned(source, "host", "")
    if stream_scope(name, kind) == "host":
        return Turned(source, "series", "no_host_name")
    return Turned(source, "series", "no_model" if tells_of_calls(name) else "")


_OF_TELLING: Final[Mapping[TellingOutcome, Outcome]] = {
    "accepted": "call",
    "same_call": "same_call",
    "duplicate": "duplicate",
}


def _of_telling(made: tuple[ArrivalSource, TellingOutcome]) -> Turned:
    source, outcome = made
    became = _OF_TELLING.get(outcome)
    return Turned(source, "rejected", _REASONS.get(outcome, outcome)) if became is None else Turned(source, became, "")


def _of_span(made: tuple[ArrivalSource, TellingOutcome, bool]) -> Turned:
    """Return what became of a span that tells of a call, or of a step of an agent."""
    source, outcome, is_step = made
    return Turned(source, "step", "") if is_step and outcome == "accepted" else _of_telling((source, outcome))


def _of_receipt(made: tuple[ArrivalSource, Receipt]) -> Turned:
    source, receipt = made
    if receipt.outcome == "rejected":
        return Turned(source, "rejected", receipt.reason or "not accepted")
    return Turned(source, "duplicate" if receipt.outcome == "duplicate" else "event", "")


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


_CANNOT_BE_KEPT: Final = "a span or fact that cannot be kept"
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
