from __future__ import annotations

import contextvars
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Status, StatusCode, Tracer

from otel_measure.ai import spans
from otel_measure.config import Settings
from otel_measure.definitions.model_use import ModelUse
from otel_measure.records import caller
from otel_measure.records.kinds import Inference
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore, facts
from otel_measure.telemetry import Providers, span_processor
from otel_measure.telemetry.span_processor import InferenceSpanProcessor, samples_all
from tests.otlp.requests import CHAT

SETTINGS = replace(Settings(), store=":memory:", service_name="shop")
SAID: Any = CHAT
USAGE = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}
PRICE_USD = 10 * 2.5e-6 + 5 * 1e-5


class App:
    """An application with tracing and metrics of its own, and a runtime of ours in it."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.exported = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.meters = MeterProvider(shutdown_on_exit=False)
        self.runtime = Runtime(SETTINGS, raise_faults=True, providers=Providers(self.meters, None, self.tracers))
        self.runtime.start(background=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exported))
        self.tracer = self.tracers.get_tracer("other")
        self.duration = self.meters.get_meter("other").create_histogram("gen_ai.client.operation.duration", "s")

    def chat(self, **more: Any) -> None:
        """Call gpt-4o under an instrumentation of others."""
        with self.tracer.start_as_current_span("chat gpt-4o", attributes=SAID) as span:
            span.set_attributes(USAGE)
            span.set_attributes(more)
            self.duration.record(0.5, SAID)

    def use(self, name: str = "gpt-4o") -> ModelUse:
        """Return what a model did, by facts and by metrics."""
        self.runtime.exposition.families()
        models = [m for m in self.runtime.ai.list_models().models if m.model_name == name]
        return ModelUse(name, "", sum(m.inference_count for m in models), sum(m.errors.count for m in models))

    def cost_usd(self) -> float:
        """Return what all calls cost."""
        costs = [model.cost for model in self.runtime.ai.list_models().models]
        return sum(cost.total_usd for cost in costs if cost.sources)

    def inferences(self) -> list[Inference]:
        """Return the facts."""
        self.runtime.recorder.flush()
        assert isinstance(self.runtime.store, SqliteStore)
        with self.runtime.store._database.read() as connection:
            return [r for r in facts.read(connection, facts.INFERENCE) if isinstance(r, Inference)]

    def close(self) -> None:
        """End it."""
        self.runtime.shutdown()
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
def app() -> Iterator[App]:
    """An application whose spans are all seen."""
    started = App()
    yield started
    started.close()


def test_a_call_that_only_a_span_tells_of(app: App) -> None:
    """Is a fact with tokens, price, user and session; the span is marked as one whose fact exists."""
    with caller.context(user_id=7, session_id="s"):
        app.chat()
    (recorded,) = app.inferences()
    assert (recorded.model, recorded.version, recorded.input_tokens, recorded.output_tokens) == (
        "gpt-4o",
        "2024-08-06",
        10,
        5,
    )
    assert (recorded.user_id, recorded.session_id) == ("7", "s")
    assert recorded.cost_usd == pytest.approx(PRICE_USD)
    (span,) = app.exported.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["otel_measure.inference.id"] == recorded.id == f"{recorded.trace_id}/{recorded.span_id}"


def test_a_span_knows_its_user_better(app: App) -> None:
    """What it says itself stands."""
    with caller.context(user_id=7, session_id="s"):
        app.chat(**{"user.id": "mine", "session.id": "own"})
    assert [(i.user_id, i.session_id) for i in app.inferences()] == [("mine", "own")]


def test_a_hundred_calls_at_once_under_our_decorator_and_another_instrumentation(app: App) -> None:
    """Half of them inside a call of ours: a hundred inferences, each cost once, and no metric says them again."""
    measured = app.runtime.ai.measure("gpt-4o", "2024-08-06")(app.chat)
    with ThreadPoolExecutor(20) as pool:
        for call in [measured, app.chat] * 50:
            pool.submit(call)
    assert app.use().requests == 100
    assert app.cost_usd() == pytest.approx(100 * PRICE_USD)
    names = {
        family.name: len(family.samples)
        for family in app.runtime.exposition.families()
        if family.name.startswith("gen_ai")
    }
    assert names == {"gen_ai.client.operation.duration": 2, "gen_ai.client.token.usage": 4}


def test_what_our_call_knows_stands(app: App) -> None:
    """A span completes what is not known; several spans inside one call add up."""
    with app.runtime.ai.inference("gpt-4o", "2024-08-06", input_tokens=99) as call:
        app.chat()
        app.chat()
        call.set(cost_usd=1.0)
    (recorded,) = app.inferences()
    assert (recorded.input_tokens, recorded.output_tokens, recorded.cost_usd) == (99, 10, 1.0)
    assert (recorded.response_model, recorded.provider) == ("gpt-4o-2024-08-06", "openai")


def test_of_calls_inside_each_other_the_innermost_counts(app: App) -> None:
    """A framework's span around the client's is the same call, however many spans lie between."""
    with (
        app.tracer.start_as_current_span("chat", attributes=SAID),
        app.tracer.start_as_current_span("step"),
    ):
        app.chat()
    (recorded,) = app.inferences()
    assert recorded.input_tokens == 10


def test_a_span_of_another_model_inside_our_call_is_a_call_of_its_own(app: App) -> None:
    """It has the user and the session of the outer call, which it tells nothing of."""
    with app.runtime.ai.inference("judge", "1", user_id=7, session_id="s", inference_id="ours"):
        app.chat()
    other, ours = app.inferences()
    assert (ours.id, ours.model, ours.input_tokens, ours.cost_usd) == ("ours", "judge", None, None)
    assert (other.model, other.input_tokens) == ("gpt-4o", 10)
    assert other.cost_usd == pytest.approx(PRICE_USD)
    assert {(each.user_id, each.session_id) for each in (other, ours)} == {("7", "s")}


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o-2024-08-06"])
def test_a_span_of_the_model_that_our_call_names_is_that_call(app: App, name: str) -> None:
    """Under its id, whichever of its names the call gives: the one asked for, or the one that answers."""
    with app.runtime.ai.inference(name, "1", inference_id="ours"):
        app.chat()
    assert [(each.id, each.model, each.input_tokens) for each in app.inferences()] == [("ours", name, 10)]


def test_two_instrumentations_that_are_not_nested_tell_of_one_call(app: App) -> None:
    """Spans beside each other are one call by the id of the answer, unless one instrumentation tells them both."""
    other = app.tracers.get_tracer("another instrumentation")

    def calls_of(response_id: str, tracers: Iterable[Tracer], **more: Any) -> int:
        before = len(app.inferences())
        opened = [
            tracer.start_span("chat", attributes={**SAID, **USAGE, "gen_ai.response.id": response_id, **more})
            for tracer in tracers
        ]
        for span in opened:
            span.end()
        return len(app.inferences()) - before

    assert calls_of("r1", [app.tracer, other]) == 1
    assert calls_of("r1", [app.tracer]) == 1
    assert calls_of("r2", [app.tracer, app.tracer]) == 2
    assert calls_of("r3", [app.tracer, other], **{"gen_ai.response.id": ""}) == 2


def test_an_sdk_that_sends_spans_beside_an_instrumentation_of_it_tells_of_one_call(app: App) -> None:
    """Also where nothing but their parent and their time says so: of two that fail at once there are two."""
    sdk = app.tracers.get_tracer("com.anthropic.sdk.python")
    instrumentation = app.tracers.get_tracer("opentelemetry.instrumentation.anthropic")
    with app.tracer.start_as_current_span("request"):
        opened = [tracer.start_span("chat", attributes=SAID) for tracer in (instrumentation, instrumentation, sdk, sdk)]
        for span in reversed(opened):
            span.set_status(Status(StatusCode.ERROR))
            span.end()
    assert (app.use().requests, app.use().errors) == (2, 2)
    with app.tracer.start_as_current_span("request"):
        for tracer in (sdk, instrumentation):
            tracer.start_span("chat", attributes=SAID).end()
    assert app.use().requests == 4


def test_remembered_answers_have_a_bound(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes: whoever tells of it later tells of a call of its own."""
    monkeypatch.setattr(spans, "REMEMBERED_KEYS", 1)
    for n, tracer in enumerate((app.tracer, app.tracer, app.tracers.get_tracer("another instrumentation"))):
        said = {**SAID, **USAGE, "gen_ai.response.id": f"r{n % 2}"}
        tracer.start_span("chat", attributes=said).end()
    assert len(app.inferences()) == 3


def test_a_call_around_a_tool_that_calls_another_model(app: App) -> None:
    """An answer that needs a tool which embeds is two calls; so is an embedding inside a chat without one."""
    embedding = {**SAID, "gen_ai.operation.name": "embeddings"}
    with (
        app.tracer.start_as_current_span("chat", attributes=SAID),
        app.tracer.start_as_current_span("execute_tool", attributes={"gen_ai.operation.name": "execute_tool"}),
    ):
        app.chat()
    assert len(app.inferences()) == 2
    with app.tracer.start_as_current_span("chat", attributes=SAID):
        app.tracer.start_span("embeddings", attributes=embedding).end()
    assert len(app.inferences()) == 4


def test_three_spans_around_each_other_are_one_call(app: App) -> None:
    """Also where the outer ones say only at their end that they are calls."""
    with app.tracer.start_as_current_span("chat") as outer:
        with app.tracer.start_as_current_span("chat", attributes=SAID):
            app.chat()
        outer.set_attributes(SAID)
    assert [each.input_tokens for each in app.inferences()] == [10]


def test_streams_end_inside_the_call(app: App) -> None:
    """A stream that was opened before it is measured ends its span while it is read; its consumer is outside."""

    def stream() -> Iterator[int]:
        with app.tracer.start_as_current_span("chat", attributes=SAID) as span:
            yield from range(3)
            span.set_attributes(USAGE)

    for _ in app.runtime.ai.measure_stream(stream(), "gpt-4o", "2024-08-06"):
        assert caller.enclosing_call() is None
    for _ in app.runtime.ai.measure("gpt-4o", "2024-08-06")(stream)():
        assert caller.enclosing_call() is None
    assert [(recorded.input_tokens, recorded.output_chunks) for recorded in app.inferences()] == [(10, 3), (10, 3)]


def test_a_call_that_was_left_elsewhere_is_no_longer_open(app: App) -> None:
    """A generator of the caller's own may be closed in another context: what comes after is not inside."""

    def leaky() -> Generator[int, None, None]:
        with app.runtime.ai.inference("gpt-4o", "2024-08-06"):
            yield 1

    generator = leaky()
    next(generator)
    contextvars.Context().run(generator.close)
    app.chat()
    assert app.use().requests == 2


def test_a_failed_call(app: App) -> None:
    """By the status of its span, where it says no more."""
    span = app.tracer.start_span("chat", attributes=SAID)
    span.set_status(Status(StatusCode.ERROR))
    span.end()
    assert [recorded.error_type for recorded in app.inferences()] == ["_OTHER"]


def test_other_spans_are_let_pass(app: App) -> None:
    """Also one that was started before anybody watched."""
    processor = InferenceSpanProcessor.of(app.tracers)
    with app.tracer.start_as_current_span("GET /"):
        pass
    processor.call_back(None)
    early = app.tracer.start_span("chat", attributes=SAID)
    app.runtime.watch_spans()
    early.end()
    assert app.inferences() == []


def test_a_span_that_breaks_a_rule_costs_the_host_nothing(app: App) -> None:
    """It is counted as a fault of ours."""
    app.runtime.recorder._raise_faults = False
    app.chat(**{"gen_ai.request.model": "m" * 1025})
    assert app.inferences() == []
    errors = {f.name: f.samples for f in app.runtime.exposition.families()}["otel_measure.self.errors"]
    assert [(sample.value, 'error_type="span"' in sample.labels) for sample in errors] == [(1.0, True)]


def test_spans_that_never_end_are_forgotten(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow; the ones in flight are then not counted by their spans."""
    monkeypatch.setattr(span_processor, "MAX_OPEN", 2)
    kept = [app.tracer.start_span("chat", attributes=SAID) for _ in range(3)]
    for span in kept:
        span.end()
    assert len(app.inferences()) == 1


@pytest.mark.parametrize(
    ("sampler", "all_of_them"),
    [
        (ALWAYS_ON, True),
        (ParentBased(ALWAYS_ON), True),
        (ALWAYS_OFF, False),
        (TraceIdRatioBased(0.5), False),
        (ParentBased(TraceIdRatioBased(0.5)), False),
    ],
)
def test_which_samplers_let_all_spans_be_seen(sampler: Sampler, all_of_them: bool) -> None:
    """Those that always sample what begins here."""
    assert samples_all(TracerProvider(sampler=sampler, shutdown_on_exit=False)) is all_of_them


def test_where_spans_are_sampled_metrics_say_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not of models whose facts this process records: those would count twice."""
    app = App(TraceIdRatioBased(1.0))
    app.chat()
    assert app.use().requests == 1
    assert app.inferences() == []
    app.runtime.ai.record_inference("gpt-4o", "2024-08-06", 5.0)
    app.runtime.recorder.flush()
    app.chat()
    assert (app.use().requests, len(app.inferences())) == (2, 1)
    app.close()


def test_an_application_configured_anew_keeps_its_one_watch(app: App) -> None:
    """A provider never loses a processor; whoever measures now is told."""
    assert InferenceSpanProcessor.of(app.tracers) is InferenceSpanProcessor.of(app.tracers)
    app.runtime.shutdown()
    app.chat()
    app.runtime = Runtime(SETTINGS, raise_faults=True, providers=Providers(app.meters, None, app.tracers))
    app.runtime.start(background=False)
    app.chat()
    assert len(app.inferences()) == 1
    InferenceSpanProcessor.of(app.tracers).after_fork_in_child()
    app.chat()
    assert len(app.inferences()) == 2
