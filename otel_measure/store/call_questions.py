"""What may be asked of a store about calls of models: counted, in time, singly, and what they cost.

They are a part of `questions`, and what is said there holds here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from otel_measure.definitions.steps import Steps
from otel_measure.records.kinds import Inference
from otel_measure.store.types.models import (
    CallCount,
    CallMoments,
    CallOrder,
    CallTotals,
    FailedCalls,
    ModelChoice,
    ModelKey,
    ServiceModel,
    Spent,
    TimedCount,
)


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

    def spent(self, start: int, end: int, by: Sequence[str]) -> list[Spent]:
        """Return what calls of [start, end) cost by "user", "repository", "model", "version"; the dearest first."""
