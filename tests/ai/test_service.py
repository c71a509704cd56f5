"""The calls of `get_ai_model_service()`: what they record, answer and refuse."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otel_measure.ai.price_table import PriceTableLoader
from otel_measure.ai.service import AiModelService
from otel_measure.config import Settings
from otel_measure.errors import NoStore
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import GroundTruth, Inference
from otel_measure.runtime import Runtime
from otel_measure.store.types.models import Model
from otel_measure.testing import START, Capture


def parameters(method: object) -> list[str]:
    """The names, kinds and defaults of a method's arguments, as the contract writes them."""
    signature = inspect.signature(method)  # type: ignore[arg-type]
    return [str(p).partition(":")[0] for p in signature.parameters.values()]


def test_the_signature_others_rely_on() -> None:
    """`record_inference` and `set_drift_reference` take the contract's arguments by name, and no others."""
    assert parameters(AiModelService.record_inference) == [
        "self",
        "model_name",
        "model_version",
        "latency_ms",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "cached_input_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "units",
        "service_tier",
        "prediction",
        "ground_truth",
        "features",
        "user_id",
        "session_id",
        "provider",
        "operation",
        "error_type",
        "metadata",
        "groups",
        "timestamp",
        "inference_id",
    ]
    assert parameters(AiModelService.set_drift_reference) == [
        "self",
        "model_name",
        "model_version",
        "predictions",
        "features",
        "window",
    ]
    keyword_only = [
        p.name
        for p in inspect.signature(AiModelService.record_inference).parameters.values()
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    assert keyword_only[0] == "cached_input_tokens"


def test_calls_are_measured_with_their_truths(measured: Capture) -> None:
    """The decorator, the context and the stream record what was said of the call; a wrong argument is told at once."""
    ai = measured.ai

    @ai.measure("m", "1", prediction="a", ground_truth="a")
    def answer() -> int:
        return 7

    assert answer() == 7
    with ai.inference("m", "1", input_tokens=1, output_tokens=2, cost_usd=0.5) as call:
        call.set(prediction="a", ground_truth="b")
    assert list(ai.measure_stream(iter([1, 2]), "m", "1")) == [1, 2]
    assert call.inference_id is not None
    found = ai.get_accuracy_metrics("m", "1")
    assert (found.accuracy, found.labelled) == (0.5, 2)
    assert ai.get_latency_metrics("m", "1").sample_count == 3
    assert (ai.get_cost_metrics("m", "1").total_usd, ai.knows_model("m", "1")) == (0.5, True)
    with pytest.raises(ValueError, match="ground_truth must be a number"):
        ai.inference("m", "1", ground_truth=object())


def test_a_call_goes_on_when_it_cannot_be_recorded() -> None:
    """A fault of ours around a call is counted and the answer stays."""
    with Capture(raise_faults=False) as capture:

        @capture.ai.measure("m", "1")
        def answer() -> int:
            capture.ai._recording._builder.build = None  # type: ignore[assignment, method-assign]
            return 7

        assert answer() == 7


def test_text_is_not_stored(measured: Capture) -> None:
    """Answers of a language model and their truths leave a length; a long truth alone is refused."""
    ai = measured.ai
    ai.register_model("gpt", "1", ModelType.NLP_GENERATION)
    answer = ai.inference_records("gpt", "1", 1.0, prediction="Paris", ground_truth="Paris")
    assert [type(one) for one in answer] == [Inference]
    assert (answer[0].prediction, answer[0].metadata) == (None, {"prediction_chars": 5})
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared below
        ai.record_ground_truth("i", "x" * 65)
    assert str(caught.value).startswith("value must be a number, a boolean or a label of at most 64 characters")
    assert ai.inference_records("m", "1", 1.0, prediction="  ")[0].prediction is None


def test_a_truth_given_with_the_prediction_is_a_record_of_its_own(measured: Capture) -> None:
    """It has an id made of the inference's, so that a retry of the call is a duplicate of both."""
    inference, truth = measured.ai.inference_records("m", "1", 1.0, prediction="a", ground_truth="b", inference_id="i")  # type: ignore[misc]
    assert truth == GroundTruth(id="i/truth", ts=inference.ts, origin=inference.origin, inference_id="i", value="b")
    later = measured.ai.ground_truth_record("i", 1, timestamp=START - timedelta(hours=1), ground_truth_id="g")
    assert (later.id, later.ts, later.value) == ("g", inference.ts - 3_600_000_000, 1.0)
    told, sent = START - timedelta(hours=3), START - timedelta(hours=2)
    assert measured.ai.ground_truth_record("i", 1, timestamp=told, sent_at=sent).ts == later.ts


# ---------------------------------------------------------------- registration, other processes, no store


def test_targets_are_checked_when_they_are_set(measured: Capture) -> None:
    """An unknown target is refused at the call, not when a snapshot is taken."""
    with pytest.raises(ValueError, match="targets has the unknown key 'speed'"):
        measured.ai.register_model("m", "1", targets={"speed": 1.0})


def test_a_type_registered_by_another_process_is_known(tmp_path: Any) -> None:
    """A model's type reaches a process that did not register it, within half a minute."""
    seconds = 0.0
    settings = replace(Settings(), store=str(tmp_path / "measure.db"))
    runtimes = [Runtime(settings) for _ in range(2)]
    here, there = runtimes
    here.ai._registry._monotonic = lambda: seconds
    assert here.ai.inference_records("m", "1", 1.0)[0].operation == "predict"
    there.ai.register_model("m", "1", ModelType.NLP_GENERATION)
    assert here.ai.inference_records("m", "1", 1.0)[0].operation == "predict"
    seconds = 31.0
    assert here.ai.inference_records("m", "1", 1.0)[0].operation == "chat"
    for runtime in runtimes:
        runtime.shutdown()


def test_without_a_store_what_needs_one_says_so(storeless: AiModelService) -> None:
    """Use and health are known from this process; truths, drift and other days need a store."""
    ai = storeless
    ai.register_model("m", "1", ModelType.CLASSIFICATION)
    ai.record_inference("m", "1", 5.0, prediction="a", ground_truth="a")
    ai.record_ground_truth("i", "a")
    snapshot = ai.get_model_performance_snapshot("m", "1")
    assert (snapshot.model_type, snapshot.health_score, snapshot.accuracy) == ("classification", 100.0, None)
    assert [one.model_type for one in ai.list_models().models] == ["classification"]
    for question in (
        lambda: ai.get_accuracy_metrics("m", "1"),
        lambda: ai.get_regression_metrics("m", "1"),
        lambda: ai.detect_model_drift("m", "1"),
        lambda: ai.set_drift_reference("m", "1", window="1h"),
        lambda: ai.list_models(as_of=START.date()),
    ):
        with pytest.raises(NoStore):
            question()
    ai.after_fork_in_child()


def test_types_are_remembered_for_few_models(measured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with model names, and a store that fails leaves the type that was known."""
    from otel_measure.ai import registry
    from otel_measure.errors import StoreUnavailable

    monkeypatch.setattr(registry, "MAX_REMEMBERED", 3)
    ours = measured.ai._registry
    for i in range(10):
        assert ours.type_of(f"m{i}", "1") == "other"
    assert len(ours._types) <= 3

    def fail() -> None:
        raise StoreUnavailable("locked", "here", "wait")

    ours.register(Model("x", "1", "embeddings"))
    monkeypatch.setattr(measured.runtime.store, "asking", fail)
    ours._monotonic = lambda: math.inf
    assert (ours.type_of("x", "1"), ours.type_of("unknown", "1")) == ("embeddings", "other")


def test_prices_are_loaded_once_and_beside_the_calls() -> None:
    """The table is looked up on one thread of its own, and not at all when it is not installed."""
    asked: list[tuple[str | None, str]] = []
    loader = PriceTableLoader(lambda provider, model: asked.append((provider, model)), lambda: True)
    loader.finish()
    assert not loader.is_done()
    for _ in range(3):
        loader.start()
    loader.finish()
    assert loader.is_done()
    assert asked == [(None, "gpt-4o")]
    absent = PriceTableLoader(lambda provider, model: asked.append((provider, model)), lambda: False)
    absent.start()
    absent.finish()
    assert absent.is_done()
    assert len(asked) == 1
    PriceTableLoader().start()


def test_a_child_of_a_fork_loads_prices_whatever_its_parent_was_at() -> None:
    """The lock may have been held by a thread that the child does not have."""
    asked: list[str] = []
    loader = PriceTableLoader(lambda provider, model: asked.append(model), lambda: True)
    loader._lock.acquire()
    loader.after_fork_in_child()
    loader.start()
    loader.finish(60)
    assert asked == ["gpt-4o"]
