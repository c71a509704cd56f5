"""From a caller's arguments to the recorder: an inference, and its truth when that is known already."""

from __future__ import annotations

from typing import Any, TypeAlias

from otel_measure.ai.record import InferenceBuilder
from otel_measure.recorder import Recorder
from otel_measure.records.kinds import GroundTruth, Inference

Records: TypeAlias = tuple[Inference] | tuple[Inference, GroundTruth]


class Recording:
    """Records calls of models; `check` and `record` stand around a call, where no fault of ours may cost its answer."""

    def __init__(self, builder: InferenceBuilder, recorder: Recorder) -> None:
        self._builder = builder
        self._recorder = recorder

    def records(
        self, model_name: str, model_version: str, latency_ms: float, *, ground_truth: object = None, **fields: Any
    ) -> Records:
        """Return what is to be recorded of a call.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        return self.with_truth(self._builder.build(model_name, model_version, latency_ms, **fields), ground_truth)

    def with_truth(self, inference: Inference, ground_truth: object) -> Records:
        """Return an inference, and its truth when that is given and kept."""
        truth = None if ground_truth is None else self._builder.truth_of(inference, ground_truth)
        return (inference,) if truth is None else (inference, truth)

    def put(self, records: Records) -> str:
        """Queue records and return the id of the inference."""
        for record in records:
            self._recorder.put(record)
        return records[0].id

    def check(self, model_name: str, model_version: str, **fields: Any) -> None:
        """Raise `ValueError` for what breaks a rule."""
        self.records(model_name, model_version, 0.0, **fields)

    def record(self, model_name: str, model_version: str, latency_ms: float, **fields: Any) -> str | None:
        """Record a call and return its id; never raise."""
        try:
            return self.put(self.records(model_name, model_version, latency_ms, **fields))
        except Exception as error:
            self._recorder.fault("measuring", f"a call of {model_name} was not recorded: {error!r}", error)
            return None
