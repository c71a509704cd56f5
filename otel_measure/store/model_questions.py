"""What may be asked of a store about models; `otel_measure.store.questions` has what is asked of all else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from otel_measure.definitions.drift_windows import HourCount
from otel_measure.definitions.evaluations import Evaluated
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.pages import Page
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import CountedBy
from otel_measure.records.kinds import Inference
from otel_measure.store.types.models import (
    ALL_MODELS,
    CallChanges,
    CallCount,
    CallMoments,
    CallOrder,
    CallTotals,
    FailedCalls,
    GroupBy,
    GroupKey,
    Model,
    ModelChoice,
    ModelKey,
    ServiceModel,
    SpentRows,
    TimedCount,
)
from otel_measure.store.types.quality import GroupedLabels, JudgedRecord, Labels, RecordPosition, Reference


class RecordedModels(Protocol):
    """What reports over models ask; the in-memory reader of a process without a store answers them as well."""

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), sorted by name and version."""


class StoredModels(RecordedModels, Protocol):
    """What reports over models ask a store, which knows when each call was."""

    def use_by_step(
        self,
        steps: Steps,
        by: GroupBy | None = None,
        only: ModelChoice = ALL_MODELS,
        apart: Collection[GroupKey] | None = None,
    ) -> dict[GroupKey, dict[int, ModelUse]]:
        """Return what each group of models did in each step of a series; steps without a call are left out.

        The uses name no model: what they are of stands in the key. Groups that are not among `apart`, where it is
        given, are one with an empty key.
        """

    def requests_by_step(self, steps: Steps, by: GroupBy, only: ModelChoice) -> dict[int, dict[GroupKey, int]]:
        """Return how many calls each group of models had in each step of a series that it did anything in."""

    def changes(self, since: int | None) -> CallChanges | None:
        """Return what changed since a change, `None` where nobody can know; without one only which is the last.

        What was asked in a moment may be kept for as long as no later moment tells of a change in its time, if it
        begins after the horizon. A moment of before that change tells of a smaller one.
        """


class CallQuestions(Protocol):
    """What judges of calls ask every minute."""

    def call_sums(self, start: int, end: int) -> dict[ModelKey, CallTotals]:
        """Return what the calls of [start, end), whole minutes, add up to, of the models that had any."""

    def call_counts(
        self, start: int, minutes_from: int, end: int, names: Collection[str]
    ) -> dict[ModelKey, list[CallCount]]:
        """Return the calls of each cell of [start, end), ascending, of those models of some names that had any.

        Cells are a minute long from `minutes_from` on, and at most five minutes before; both times are multiples of
        five minutes.
        """

    def timed_counts(
        self, start: int, minutes_from: int, end: int, slower_than_ms: Mapping[str, float]
    ) -> dict[ModelKey, list[TimedCount]]:
        """Return the timed calls of each cell as for `call_counts`, and those that took longer than is said by name."""

    def error_types(self, name: str, start: int, end: int, limit: int) -> Counter[str]:
        """Return how many of the last failures of [start, end) had each error type, at most `limit` of each version."""


class CallTimeQuestions(Protocol):
    """When models were called by which services; cells that begin in [start, end), microseconds."""

    def active(self, start: int, end: int) -> dict[ServiceModel, int]:
        """Return when the last hour of [start, end) begins that had calls, of whatever had any."""

    def totals(self, start: int, end: int) -> dict[ServiceModel, int]:
        """Return how many calls the hours of [start, end) held, of whatever had any."""

    def called_since(self, start: int) -> set[ServiceModel]:
        """Return what had calls in a minute that begins then or later."""

    def last_minute(self, called: ServiceModel, since: int) -> int | None:
        """Return when the last minute begins, from `since` on, that had calls; `None` where none had."""

    def by_hour(self, called: ServiceModel, start: int, end: int) -> dict[int, int]:
        """Return the calls of each hour that had any."""

    def by_minute(self, called: ServiceModel, start: int, end: int) -> dict[int, int]:
        """Return the calls of each minute that had any."""


class QualityQuestions(Protocol):
    """What models are judged by: predictions with their truths, evaluations, and records against references.

    The records of a model that have a prediction or features stand in the order of their positions, (ts, id).
    """

    @property
    def environment(self) -> str:
        """The one that answers are about."""

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions what they tell of [start, end) is counted, microseconds."""

    def labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""

    def grouped_labels(self, start: int, end: int, only: ModelKey | None = None) -> dict[ModelKey, GroupedLabels]:
        """Return the predictions of [start, end) that are about groups, and their truths, per model."""

    def evaluations(self, start: int, end: int) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""

    def model_of(self, inference_id: str) -> ModelKey | None:
        """Return the model of a call, `None` for a call that is not known."""

    def references(self, only: ModelKey | None = None) -> Mapping[ModelKey, Reference]:
        """Return the references kept for models."""

    def judged_counts(
        self, start: int, end: int, only: ModelKey | None = None, after: RecordPosition | None = None
    ) -> Mapping[ModelKey, int]:
        """Return how many records of [start, end), whole hours, each model has; those after a position only.

        Up to the position records are walked: let them be few.
        """

    def judged_hours(self, model: ModelKey, start: int, end: int) -> list[HourCount]:
        """Return how many records of [start, end), whole hours, a model has in each hour that has any, in order."""

    def newest(
        self, model: ModelKey, start: int, end: int, limit: int, after: RecordPosition | None = None
    ) -> list[JudgedRecord]:
        """Return the last records of [start, end) that come after a position, at most `limit`, in order."""

    def last_judged(self, model: ModelKey, end: int) -> int | None:
        """Return the time of the last record before `end`, a whole hour; `None` without one."""

    def oldest(self, model: ModelKey, limit: int) -> list[JudgedRecord]:
        """Return the first records of a model, at most `limit`, in order."""


class CallFactQuestions(Protocol):
    """Single calls of models: what is behind a number."""

    def largest(self, order: CallOrder, start: int, end: int, only: ModelChoice, limit: int) -> list[Inference]:
        """Return the calls of [start, end) with the largest duration or cost above 0; of equal the newest first."""

    def failed(self, start: int, end: int, only: ModelChoice, limit: int) -> list[FailedCalls]:
        """Return the failed calls of [start, end) by type, the most frequent first; the trace is that of a new one."""

    def moments(self, start: int, end: int, only: ModelChoice) -> CallMoments:
        """Return how costs and tokens of the calls of [start, end) are distributed."""

    def failed_by_step(self, steps: Steps, only: ModelChoice) -> dict[str, dict[int, int]]:
        """Return how many calls failed in each step of a series, by type; steps without one are left out."""


class SpendingQuestions(Protocol):
    """What calls cost by whom and what they were made for."""

    def spent(self, start: int, end: int, by: Sequence[str], page: Page | None = None) -> SpentRows:
        """Return what calls of [start, end) cost by "user", "repository", "model", "version".

        Args:
            start: the first microsecond.
            end: the one after the last.
            by: what rows are about.
            page: which of them; all when not given. Without a column to sort by, one of those numbers that
                `otel_measure.store.spent_sql.RANKS` names, the dearest come first. What is sought is not looked at.
        """
