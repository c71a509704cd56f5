"""Measured calls through the service: recorded with their user, refused before the model is called, never lost."""

from __future__ import annotations

from typing import Any

import pytest

from otel_measure import context
from otel_measure.testing import Capture
from tests.ai.measuring import ANSWER, Boom


def test_a_measured_call_is_an_inference_of_its_user() -> None:
    """Recorded with the surrounding user, and found under its id."""
    with Capture() as capture:

        @capture.ai.measure("gpt-4o", "1", operation="chat")
        def answer() -> Any:
            return ANSWER

        with context(user_id="u", session_id="s"):
            assert answer() is ANSWER
            with capture.ai.inference("gpt-4o", "1") as measured_call:
                pass
        list(capture.ai.measure_stream([1], "gpt-4o", "1"))
        found = [found.attributes for found in capture.events()]
    assert [one["gen_ai.request.model"] for one in found] == ["gpt-4o"] * 3
    assert [one.get("user.id") for one in found] == ["u", "u", None]
    assert (found[0]["gen_ai.usage.input_tokens"], found[0]["gen_ai.operation.name"]) == (3, "chat")
    assert found[1]["log.record.uid"] == measured_call.inference_id


@pytest.mark.parametrize("way", ["measure", "inference", "measure_stream"])
def test_a_wrong_argument_is_refused_before_the_model_is_called(way: str) -> None:
    """For a decorator: where it stands."""
    with Capture() as capture:
        given: tuple[Any, ...] = ([1], "", "1") if way == "measure_stream" else ("", "1")
        with pytest.raises(ValueError, match="model_name must be a non-empty string"):
            getattr(capture.ai, way)(*given)


def test_an_answer_is_never_lost_to_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we cannot record is a fault of ours and counted; the answer and the model's own error stay."""
    with Capture(raise_faults=False) as capture:
        put = capture.runtime.recorder.put
        monkeypatch.setattr(capture.runtime.recorder, "put", {}.__getitem__)

        @capture.ai.measure("m", "1")
        def answer(fail: bool) -> Any:
            if fail:
                raise Boom("the model's")
            return ANSWER

        assert answer(False) is ANSWER
        with pytest.raises(Boom, match="the model's"):
            answer(True)
        monkeypatch.setattr(capture.runtime.recorder, "put", put)
        answer(False)
        faults = {sample.labels: sample.value for sample in capture.families()["otel_measure.self.errors"].samples}
        assert capture.ai.list_models().total_inferences == 1
    assert [value for labels, value in faults.items() if 'error_type="measuring"' in labels] == [2.0]
