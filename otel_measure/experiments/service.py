"""Experiments: creating them, assigning users, and asking what they say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from otel_measure.deferred import AT_ONCE, Deferred
from otel_measure.definitions.series import Series
from otel_measure.definitions.windows import HOUR_US, CountedBy, counted, day_span
from otel_measure.errors import NoStore, NotFound, StoreError
from otel_measure.experiments.analyse import analyse
from otel_measure.experiments.assign import definition, variant_of
from otel_measure.experiments.commands import CreateTestCommand, StopTestCommand, check_same, check_variant, defined
from otel_measure.experiments.series import experiment_series
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.records.caller import current_caller
from otel_measure.records.kinds import AbConversion, Exposure, Origin
from otel_measure.stats.ab_test import AbTest
from otel_measure.store.protocol import Store
from otel_measure.store.questions import ExperimentQuestions
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest
from otel_measure.store.types.facts import Filter

_log: Final = logging.getLogger("otel_measure")


@dataclass(frozen=True, slots=True)
class AbTestResults:
    """What every experiment says, the oldest first."""

    experiments: list[AbTest]
    environment: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """The variant that a user gets, `None` for who takes no part, and the record of it where there is to be one."""

    variant: str | None
    exposure: Exposure | None = None


class ExperimentService:
    """Experiments of one store, which is asked at each assignment what the test is and what its person has met.

    Without a store the hash decides, definitions live as long as the process, and only results are refused. What
    callers read of these calls stands in `otel_measure.users.ab_tests.AbTestCalls`, which passes them on.

    Args:
        origin: of every record.
        recorder: takes the records.
        store: keeps and answers.
        now_us, new_id: clock and ids.
        timezone: of days.
        deferred: keeps what is set while the store is away; the hash decides meanwhile.
    """

    def __init__(
        self,
        origin: Origin,
        recorder: Recorder,
        store: Store | None,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
        deferred: Deferred = AT_ONCE,
    ) -> None:
        self._timezone = timezone
        self._deferred = deferred
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
        """Create a test, find the same one again, or raise its coverage; return its key."""
        wanted = definition(test_name, variants, weights, coverage, key, self._now_us())
        kept = self._known.get(wanted.key, wanted).raised_to(wanted)
        if self._store is not None:
            kept = self._deferred.do(self._store, CreateTestCommand(wanted), kept)
        check_same(kept, wanted)
        self._known[kept.key] = kept
        return kept.key

    def stop_ab_test(self, test_id: str, winner: str | None = None) -> str:
        """Count no more for a test, and give everybody one variant."""
        experiment = self._experiment(test_id)
        served = experiment.variants[0] if winner is None else winner
        check_variant(experiment, served)
        now = self._now_us()
        stopped = replace(experiment, stopped=now if experiment.stopped is None else experiment.stopped, served=served)
        if self._store is not None:
            self._recorder.flush()
            stopped = self._deferred.do(self._store, StopTestCommand(test_id, served, now), stopped)
        self._known[test_id] = stopped
        return served

    def assignment(self, test_id: str, user_id: object) -> Assignment:
        """Return the variant of a user as `assign_variant` does, and the record that it would record.

        Raises:
            ValueError: the user id is none.
            NotFound: there is no such test.
            StoreError: the store cannot be asked what the test is, and this process does not know it.
        """
        caller = current_caller()
        user = caller.user(user_id)
        experiment, person = self._person_in_test(test_id, user)
        if experiment.stopped is not None:
            return Assignment(experiment.served)
        is_known = person.variant in experiment.variants
        variant = person.variant if is_known else variant_of(experiment, person.unit)
        if variant is None:
            return Assignment(None)
        exposure = Exposure(
            id=self._new_id(),
            ts=self._now_us(),
            origin=self._origin,
            user_id=user,
            experiment=experiment.key,
            variant=variant,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )
        return Assignment(variant, exposure)

    def _person_in_test(self, test_id: str, user: str) -> tuple[Experiment, PersonInTest]:
        """Return what a test is now, and what its person has met; where nobody can be asked, what is remembered."""
        if self._store is None:
            return self._experiment(test_id), PersonInTest(user, None)
        try:
            with self._store.asking(Filter(None, self._origin.environment)) as moment:
                defined = moment.experiments.experiments(test_id)
                person = moment.experiments.person_in_test(test_id, user)
        except StoreError as error:
            known = self._known.get(test_id)
            if known is None:
                raise
            self._log_once(f"the hash decides in test {test_id!r} while the store cannot be asked who met what", error)
            return known, PersonInTest(user, None)
        if not defined:
            raise NotFound("test", test_id)
        self._known[test_id] = defined[0]
        return defined[0], person

    def assign_variant(self, test_id: str, user_id: object) -> str | None:
        """Return the variant of a user and record that they met it."""
        try:
            assignment = self.assignment(test_id, user_id)
        except StoreError as error:
            self._log_once(f"users are left out of test {test_id!r} while the store cannot be asked what it is", error)
            return None
        if assignment.exposure is not None:
            self._recorder.put(assignment.exposure)
        return assignment.variant

    def conversion_record(
        self,
        test_id: str,
        user_id: object,
        *,
        timestamp: datetime | None = None,
        event_id: str | None = None,
        sent_at: datetime | None = None,
    ) -> AbConversion:
        """Return the record that `record_ab_conversion` would record.

        `sent_at` is when the client sent it, by its own clock: a difference of 60 s or more to ours corrects
        `timestamp`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NotFound: there is no such test.
        """
        return self._conversion(self._experiment(test_id).key, user_id, timestamp, event_id, sent_at)

    def _conversion(
        self,
        key: str,
        user_id: object,
        timestamp: datetime | None,
        event_id: str | None,
        sent_at: datetime | None = None,
    ) -> AbConversion:
        caller = current_caller()
        ts, clamped = checks.settled_timestamp("timestamp", timestamp, self._now_us(), sent_at)
        return AbConversion(
            id=self._new_id() if event_id is None else checks.id_text("event_id", event_id),
            ts=ts,
            origin=self._origin,
            user_id=caller.user(user_id),
            experiment=key,
            client_clock=timestamp is not None,
            clamped=clamped,
            trace_id=caller.trace_id,
            span_id=caller.span_id,
        )

    def record_ab_conversion(
        self, test_id: str, user_id: object, *, timestamp: datetime | None = None, event_id: str | None = None
    ) -> str:
        """Record that a user converted."""
        try:
            key = self._experiment(test_id).key
        except StoreError as error:
            key = checks.text("test_id", test_id)
            self._log_once(f"conversions in {key!r} are recorded while the store cannot be asked whether it is", error)
        conversion = self._conversion(key, user_id, timestamp, event_id)
        self._recorder.put(conversion)
        return conversion.id

    def get_ab_test_results(self, test_id: str, *, environment: str | None = None) -> AbTest:
        """Return what a test says so far, of one environment."""
        tests, _ = self._results("the result of a test", environment, test_id)
        if not tests:
            raise NotFound("test", test_id)
        return tests[0]

    def get_ab_test_series(
        self,
        test_id: str,
        window: str = "30d",
        *,
        step: str | None = None,
        as_of: date | None = None,
        environment: str | None = None,
    ) -> Series:
        """Return what a test said at the end of each day or week, of one environment."""
        now = self._now_us()
        span = day_span(window, now, self._timezone, as_of)
        with self._store_for("a test over time").asking(Filter(None, environment)) as moment:
            questions = moment.experiments
            test = next(iter(questions.experiments(test_id)), None)
            if test is None:
                raise NotFound("test", test_id)
            return experiment_series(test, questions.hours(test_id), counted(span, questions), step, now)

    def list_ab_tests(self, *, environment: str | None = None) -> AbTestResults:
        """Return what every test says so far, of one environment.

        Raises:
            NoStore: there is none to ask.
        """
        tests, of = self._results("the results of tests", environment)
        return AbTestResults(tests, of)

    def _results(self, question: str, environment: str | None, test_id: str | None = None) -> tuple[list[AbTest], str]:
        """Return what tests say (or one, if there is one), and in which environment."""
        with self._store_for(question).asking(Filter(None, environment)) as moment:
            questions = moment.experiments
            now = self._now_us()
            tests = [(each, *_counted(questions, each, now)) for each in questions.experiments(test_id)]
            of = questions.environment
        return [analyse(each, hours, definitions, of, now) for each, hours, definitions in tests], of

    def _log_once(self, what: str, error: StoreError) -> None:
        if not self._logged:
            self._logged = True
            _log.error("%s (logged once): %s", what, error)

    def _store_for(self, question: str) -> Store:
        if self._store is None:
            raise NoStore(question)
        self._recorder.settle()
        return self._store

    def _experiment(self, test_id: str) -> Experiment:
        known = self._known.get(test_id) or self._defined(test_id)
        if known is None:
            raise NotFound("test", test_id)
        self._known[test_id] = known
        return known

    def _defined(self, test_id: str) -> Experiment | None:
        """Return what a test is now, `None` for one that does not exist."""
        if self._store is None:
            return self._known.get(test_id)
        return defined(self._store, test_id)


def _counted(questions: ExperimentQuestions, test: Experiment, now: int) -> tuple[list[ArmHour], CountedBy]:
    """Return the hours of a test, and by which definitions they are counted."""
    hours = questions.hours(test.key)
    start = hours[0].hour * HOUR_US if hours else test.created
    return hours, questions.counted_by(start, now)
