"""What the KPIs of a model say, kept until something changes that they are judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from otel_measure.ai.judged import KpiModel
from otel_measure.judging.reading import Reading

MAX_KEPT: Final = 20_000
"""Models of all environments together."""
_Subject: TypeAlias = tuple[str, str, str]  # environment, name and version


class KeptReadings:
    """The readings of models as they were judged last; safe for several threads, since they are never changed."""

    def __init__(self) -> None:
        self._kept: dict[_Subject, tuple[KpiModel, tuple[Reading, ...]]] = {}

    def of(
        self, environment: str, model: KpiModel, judge: Callable[[KpiModel], tuple[Reading, ...]]
    ) -> tuple[Reading, ...]:
        """Return what was said of a model, or have it judged where it is not the very one that was judged."""
        subject = (environment, model.model_name, model.model_version)
        kept = self._kept.get(subject)
        if kept is not None and kept[0] is model:
            return kept[1]
        if len(self._kept) >= MAX_KEPT:
            self._kept = {}
        readings = judge(model)
        self._kept[subject] = (model, readings)
        return readings
