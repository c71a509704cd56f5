"""Snapshots of models as they were last built: of a model of which nothing changed, only the window is another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from otel_measure.ai.reports import UNKNOWN_QUALITY, ModelQuality, Snapshot, snapshot
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import Model, ModelKey

MAX_KEPT: Final = 20_000
"""Models of all questions together; a question about more of them is answered anew each time."""
_Question: TypeAlias = tuple[Filter, int]  # whose calls, and the length of the window


class _KeptSnapshot(NamedTuple):
    """A snapshot, and all that it was built of but window and time."""

    model: Model
    use: ModelUse
    quality: ModelQuality
    built: Snapshot


class KeptSnapshots:
    """The snapshots of the questions that were asked last; safe for several threads, since they are never changed."""

    def __init__(self) -> None:
        self._kept: Mapping[_Question, Mapping[ModelKey, _KeptSnapshot]] = {}

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
        question = (where, span.end - span.start)
        kept = dict(self._kept.get(question, {}))  # with those of models that are not asked for this time
        by_key = {(use.model, use.version): use for use in uses}
        asked = []
        for model in models:
            key = (model.name, model.version)
            last = kept.get(key)
            use = by_key.get(key) or (last.use if last and not last.use.requests else ModelUse(*key))
            quality = qualities.get(key, UNKNOWN_QUALITY)
            if last is None or last.use is not use or last.model != model or not _is_same(last.quality, quality):
                last = _KeptSnapshot(model, use, quality, snapshot(model, use, quality, span, now))
                kept[key] = last
            asked.append(last.built)
        self._keep(question, kept)
        window = span.window
        return tuple(_dated(built, window, now) for built in asked)

    def _keep(self, question: _Question, kept: Mapping[ModelKey, _KeptSnapshot]) -> None:
        room, all_kept = MAX_KEPT - len(kept), {question: kept}
        for other, snapshots in self._kept.items():
            if other != question and len(snapshots) <= room:
                all_kept[other] = snapshots
                room -= len(snapshots)
        if room >= 0:
            self._kept = all_kept


def _is_same(one: ModelQuality, other: ModelQuality) -> bool:
    """Tell whether the same is known of a model; what is known of groups tells a window as well."""
    if one is other:
        return True
    return one._replace(fairness=None) == other._replace(fairness=None) and _untimed(one) == _untimed(other)


def _untimed(quality: ModelQuality) -> tuple[object, ...]:
    fairness = quality.fairness
    return () if fairness is None else (fairness.attributes, fairness.positive)


def _dated(built: Snapshot, window: Window, now: datetime) -> Snapshot:
    """Return a snapshot as one of this window and time, of which all else is the same."""
    if built.window is window:
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
