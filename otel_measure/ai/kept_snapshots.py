"""Snapshots of models as they were last built: of a model of which nothing changed, only the window is another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from otel_measure.ai.kept_models import KeptModels
from otel_measure.ai.reports import ModelQuality, Snapshot, snapshot
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import Model, ModelKey


class KeptSnapshots:
    """The snapshots of the questions that were asked last; safe for several threads."""

    def __init__(self) -> None:
        self._kept: Final = KeptModels[Snapshot]()

    def of(
        self,
        where: Filter,
        models: Iterable[Model],
        uses: Iterable[ModelUse],
        qualities: Mapping[ModelKey, ModelQuality],
        span: TimeSpan,
        now: datetime,
    ) -> tuple[Snapshot, ...]:
        """Return the snapshots of models, in their order, whether they were used in the window or not.

        Args:
            where: what the question is about.
            models: of which.
            uses: what models did; those of a model that did nothing are not told.
            qualities: what is known of models beside their use, where anything is.
            span: the window.
            now: the time that snapshots are dated with.
        """
        built = self._kept.of(
            (where, span.end - span.start),
            models,
            uses,
            qualities,
            lambda model, use, quality: snapshot(model, use, quality, span, now),
        )
        window = span.window
        return tuple(_dated(one, window, now) for one in built)


def _dated(built: Snapshot, window: Window, now: datetime) -> Snapshot:
    """Return a snapshot as one of this window and time, of which all else is the same."""
    if built.timestamp == now and built.window == window:
        return built
    return replace(
        built,
        latency=replace(built.latency, window=window),
        cost=replace(built.cost, window=window),
        accuracy=built.accuracy and replace(built.accuracy, window=window),
        fairness=built.fairness and replace(built.fairness, window=window),
        timestamp=now,
        window=window,
    )
