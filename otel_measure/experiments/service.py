"""Experiments: creating them, assigning users, and asking what they say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from otel_measure.definitions.contributions import EXPERIMENT_PROPERTY
from otel_measure.definitions.windows import HOUR_US, CountedBy
from otel_measure.errors import Conflict, NoStore, NotFound, StoreError
from otel_measure.experiments.analyse import analyse
from otel_measure.experiments.assign import definition, variant_of
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.records.caller import current_caller
from otel_measure.records.enums import EventType
from otel_measure.records.kinds import Exposure, Origin, UserEvent
from otel_measure.stats.ab_test import AbTest
from otel_measure.store.protocol import ExperimentQuestions, Store
from otel_measure.store.types.experiments import ArmHour, Experiment

_log: Final = logging.getLogger("otel_measure")


@dataclass(frozen=True, slots=True)
class AbTestResults:
    """What every experiment says, the oldest first."""

    experiments: list[AbTest]
    total_experiments: int


class ExperimentService:
    """Experiments of one store; definitions never change, so each is read once and kept.

    Without a store definitions live as long as the process, and only results are refused. What callers read of these
    calls stands in `otel_measure.users.ab_tests.AbTestCalls`, which passes them on.

    Args:
        origin: of every record.
        recorder: takes the records.
        store: keeps and answers.
        now_us, new_id: clock and ids.
    """

    def __init__(
        self,
        origin: Origin,
        recorder: Recorder,
        store: Store | None,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._origin = origin
        self._recorder = recorder
        self._store = store
        self._now_us = now_us
        self._new_id = new_id
        self._known: dict[str, Experiment] = {}
        self._logged = False

    def create_ab_test(
        self,
        test_name: str,
        variants: Sequence[str],
        *,
        weights: Sequence[float] | None = None,
        coverage: float = 1.0,
        key: str | None = None,
    ) -> str:
        """Create a test, or find the same one again, and return its key."""
        wanted = definition(test_name, variants, weights, coverage, key, self._now_us())
        kept = self._known.get(wanted.key) or (self._store.define_experiment(wanted) if self._store else wanted)
        if kept != wanted:
            raise Conflict(_difference(kept, wanted))
        self._known[kept.key] = kept
        return kept.key

    def exposure_record(self, test_id: str, user_id: object) -> Exposure | None:
        """Return the record that `assign_variant` would record, `None` outside coverage.

        Raises:
            ValueError: the user id is none.
            NotFound: there is no such test.
        """
        experiment, caller = self._experiment(test_id), current_caller()
        user = caller.user(user_id)
        variant = variant_of(experiment, user)
        if variant is None:
            return None
        return Exposure(
            id=self._new_id(),
            ts=self._now_us(),
            origin=self._origin,
            user_id=user,
            experiment=experiment.key,
            variant=variant,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )

    def assign_variant(self, test_id: str, user_id: object) -> str | None:
        """Return the variant of a user and record that they met it."""
        try:
            exposure = self.exposure_record(test_id, user_id)
        except StoreError as error:
            self._log_once(f"users are left out of test {test_id!r} while the store cannot be asked what it is", error)
            return None
        if exposure is None:
            return None
        self._recorder.put(exposure)
        return exposure.variant

    def conversion_record(
        self, test_id: str, user_id: object, *, timestamp: datetime | None = None, event_id: str | None = None
    ) -> UserEvent:
        """Return the record that `record_ab_conversion` would record.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NotFound: there is no such test.
        """
        key, caller = self._experiment(test_id).key, current_caller()
        ts, clamped = checks.settled_timestamp("timestamp", timestamp, self._now_us())
        return UserEvent(
            id=self._new_id() if event_id is None else checks.id_text("event_id", event_id),
            ts=ts,
            origin=self._origin,
            user_id=caller.user(user_id),
            type=EventType.CONVERSION.value,
            name=key,
            session_id=caller.session_id,
            properties={EXPERIMENT_PROPERTY: key},
            clamped=clamped,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )

    def record_ab_conversion(
        self, test_id: str, user_id: object, *, timestamp: datetime | None = None, event_id: str | None = None
    ) -> str:
        """Record that a user converted."""
        event = self.conversion_record(test_id, user_id, timestamp=timestamp, event_id=event_id)
        self._recorder.put(event)
        return event.id

    def get_ab_test_results(self, test_id: str) -> AbTest:
        """Return what a test says so far."""
        store = self._store_for("the result of a test")
        experiment = self._experiment(test_id)
        with store.asking() as moment:
            hours, definitions = _counted(moment.experiments, experiment, self._now_us())
        return analyse(experiment, hours, definitions)

    def list_ab_tests(self) -> AbTestResults:
        """Return what every test says so far.

        Raises:
            NoStore: there is none to ask.
        """
        with self._store_for("the results of tests").asking() as moment:
            questions = moment.experiments
            defined = [(each, *_counted(questions, each, self._now_us())) for each in questions.experiments()]
        results = [analyse(each, hours, definitions) for each, hours, definitions in defined]
        return AbTestResults(results, len(results))

    def _log_once(self, what: str, error: StoreError) -> None:
        if not self._logged:
            self._logged = True
            _log.error("%s (logged once): %s", what, error)

    def _store_for(self, question: str) -> Store:
        if self._store is None:
            raise NoStore(question)
        self._recorder.flush()
        return self._store

    def _experiment(self, test_id: str) -> Experiment:
        known = self._known.get(test_id)
        if known is None:
            known = self._known[test_id] = self._defined(test_id)
        return known

    def _defined(self, test_id: str) -> Experiment:
        if self._store is None:
            raise NotFound("test", test_id)
        with self._store.asking() as moment:
            defined = moment.experiments.experiments(test_id)
        if not defined:
            raise NotFound("test", test_id)
        return defined[0]


def _counted(questions: ExperimentQuestions, test: Experiment, now: int) -> tuple[list[ArmHour], CountedBy]:
    """Return the hours of a test, and by which definitions they are counted."""
    hours = questions.hours(test.key)
    start = hours[0].hour * HOUR_US if hours else test.created
    return hours, questions.counted_by(start, now)


def _difference(kept: Experiment, wanted: Experiment) -> str:
    names = [f.name for f in fields(Experiment) if f.compare and getattr(kept, f.name) != getattr(wanted, f.name)]
    parts = [f"{name} is {getattr(kept, name)!r} there and {getattr(wanted, name)!r} here" for name in names]
    return f"test {kept.key!r} exists with another definition: {'; '.join(parts)}; give another key=..."
