"""The steps of series as they were last told: of a window that moves while calls come, few are told anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import islice, pairwise
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from otel_measure.definitions.steps import Steps
from otel_measure.store.questions import Moment
from otel_measure.store.types.models import CallChanges

MAX_NUMBERS: Final = 500_000
"""Numbers that are kept of all questions together, some 32 bytes each."""
_WINDOWS: Final = 2  # a window, and the equally long time before
_Span: TypeAlias = tuple[int, int]
_Told = TypeVar("_Told")


class _KeptSeries(NamedTuple, Generic[_Told]):
    """What is kept of one question.

    Attributes:
        change: the last one that is in it.
        steps: what was told, by the begin and the end of a step; those asked for last stand last.
        numbers: how many those are.
    """

    change: int
    steps: Mapping[_Span, _Told]
    numbers: int


class KeptSteps(Generic[_Told]):
    """The steps of the questions that were asked last; safe for several threads, since what is kept is never changed.

    Args:
        nothing: what is told of a step without calls.
        numbers_of: how many numbers are in what is told of a step.
    """

    def __init__(self, nothing: _Told, numbers_of: Callable[[_Told], int]) -> None:
        self._nothing = nothing
        self._numbers_of = numbers_of
        self._kept: Mapping[Hashable, _KeptSeries[_Told]] = {}

    def of(
        self,
        question: Hashable,
        moment: Moment,
        made: Steps,
        tell: Callable[[Steps], Mapping[int, _Told]],
        is_asked: Callable[[int, _Told], bool] = lambda _, __: True,
    ) -> list[_Told]:
        """Return what is told of each step; what ends before the horizon of the store is not asked.

        Args:
            question: all that tells two questions apart but the time.
            moment: of the store.
            made: the steps.
            tell: tells of the steps that are to be read; steps without calls may be left out.
            is_asked: whether what is kept of a step is what is asked now.
        """
        horizon, kept = moment.horizon, self._kept.get(question)
        changes = moment.models.changes(None if kept is None else kept.change)
        right = _still_right(kept, changes, horizon)
        spans = list(pairwise(made.edges))
        by_step = {
            step: right[span] for step, span in enumerate(spans) if span in right and is_asked(step, right[span])
        }
        missing = frozenset(step for step, (_, end) in enumerate(spans) if step not in by_step and end > horizon)
        if missing:
            by_step |= tell(made.only(missing))
        told = [by_step.get(step, self._nothing) for step in range(len(spans))]
        if changes is not None and (kept is None or kept.change <= changes.last):
            asked = {span: one for span, one in zip(spans, told, strict=True) if span[0] >= horizon}
            others = {span: one for span, one in right.items() if span not in asked}
            room = (_WINDOWS - 1) * len(spans)
            steps = dict(islice(others.items(), max(len(others) - room, 0), None)) | asked
            self._keep(question, _KeptSeries(changes.last, steps, sum(map(self._numbers_of, steps.values()))))
        return told

    def _keep(self, question: Hashable, series: _KeptSeries[_Told]) -> None:
        """Keep what was told, and as much of other questions as there is room for; those asked last come first."""
        room, all_kept = MAX_NUMBERS - series.numbers, {question: series}
        for other, kept in self._kept.items():
            if other != question and kept.numbers <= room:
                all_kept[other] = kept
                room -= kept.numbers
        if room >= 0:
            self._kept = all_kept


def _still_right(kept: _KeptSeries[_Told] | None, changes: CallChanges | None, horizon: int) -> Mapping[_Span, _Told]:
    """Return what is kept of steps in which nothing changed; nothing in a moment of before it was kept."""
    if kept is None or changes is None or changes.last < kept.change:
        return {}
    return {span: told for span, told in kept.steps.items() if span[0] >= horizon and not changes.touch(*span)}
