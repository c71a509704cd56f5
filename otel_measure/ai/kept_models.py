"""What was last told of models: of a model of which nothing changed it is told again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from otel_measure.ai.reports import UNKNOWN_QUALITY, ModelQuality
from otel_measure.definitions.model_use import ModelUse
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import Model, ModelKey

MAX_KEPT: Final = 20_000
"""Models of all questions together; a question about more of them is answered anew each time."""
_Question: TypeAlias = tuple[Filter, int]  # whose calls, and the length of the window
_Told = TypeVar("_Told")


class _KeptModel(NamedTuple, Generic[_Told]):
    """What is told of a model, and all that it was made of."""

    model: Model
    use: ModelUse
    quality: ModelQuality
    told: _Told


class KeptModels(Generic[_Told]):
    """What was told by the questions that were asked last; safe for several threads, since it is never changed."""

    def __init__(self) -> None:
        self._kept: Mapping[_Question, Mapping[ModelKey, _KeptModel[_Told]]] = {}

    def of(
        self,
        question: _Question,
        models: Iterable[Model],
        uses: Iterable[ModelUse],
        qualities: Mapping[ModelKey, ModelQuality],
        tell: Callable[[Model, ModelUse, ModelQuality], _Told],
    ) -> list[_Told]:
        """Return what is told of models, in their order, whether they were used in the window or not.

        Args:
            question: whose calls, and the length of the window.
            models: of which.
            uses: what models did; those of a model that did nothing are not told.
            qualities: what is known of models beside their use, where anything is.
            tell: tells of a model that is not as it was; of the time that is all the same.
        """
        kept = dict(self._kept.get(question, {}))  # with those of models that are not asked for this time
        by_key = {(use.model, use.version): use for use in uses}
        asked = []
        for model in models:
            key = model[:2]
            last, use, quality = kept.get(key), by_key.get(key), qualities.get(key, UNKNOWN_QUALITY)
            if use is None:
                use = last.use if last is not None and not last.use.requests else ModelUse(*key)
            if last is None or last.use is not use or last.model != model or not _is_same(last.quality, quality):
                last = kept[key] = _KeptModel(model, use, quality, tell(model, use, quality))
            asked.append(last.told)
        self._keep(question, kept)
        return asked

    def _keep(self, question: _Question, kept: Mapping[ModelKey, _KeptModel[_Told]]) -> None:
        room, all_kept = MAX_KEPT - len(kept), {question: kept}
        for other, models in self._kept.items():
            if other != question and len(models) <= room:
                all_kept[other] = models
                room -= len(models)
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
