"""The calls of `analytics` that belong to experiments, which users know by this interface only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from otel_measure.definitions.series import Series
from otel_measure.stats.ab_test import AbTest


class AbTests(Protocol):
    """What `otel_measure.experiments.service.ExperimentService` is."""

    def create_ab_test(
        self,
        test_name: str,
        variants: Sequence[str],
        *,
        weights: Sequence[float] | None = None,
        coverage: float = 1.0,
        key: str | None = None,
    ) -> str:
        """Create a test, or find the same one again."""

    def stop_ab_test(self, test_id: str, winner: str | None = None) -> str:
        """Count no more for a test, and give everybody one variant."""

    def assign_variant(self, test_id: str, user_id: object) -> str | None:
        """Return the variant of a user and record that they met it."""

    def record_ab_conversion(
        self, test_id: str, user_id: object, *, timestamp: datetime | None = None, event_id: str | None = None
    ) -> str:
        """Record that a user converted."""

    def get_ab_test_results(self, test_id: str, *, environment: str | None = None) -> AbTest:
        """Return what a test says so far, of one environment."""

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


class AbTestCalls:
    """Passes the calls on.

    Args:
        ab_tests: who answers them.
    """

    def __init__(self, ab_tests: AbTests) -> None:
        self._ab_tests = ab_tests

    def create_ab_test(
        self,
        test_name: str,
        variants: Sequence[str],
        *,
        weights: Sequence[float] | None = None,
        coverage: float = 1.0,
        key: str | None = None,
    ) -> str:
        """Create a test, or find the same one again; committed durably before it returns.

        The same call with a higher `coverage` raises it: more users take part, and nobody moves. It is never lowered,
        and weights do not change.

        Args:
            test_name: what a person calls it.
            variants: two or more different names, the control first.
            weights: the share of each variant, together 1; equal ones when not given.
            coverage: the share of the users that take part, above 0 and up to 1.
            key: names the test everywhere and is the seed of its hash; the name in lower case with hyphens when not
                given.

        Returns:
            The key.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            Conflict: the key has another definition, or a higher coverage (a `ValueError`, too).
            StoreUnavailable: nothing was created. With a spool it is created when the store is there, and the hash of
                the id decides until then.
        """
        return self._ab_tests.create_ab_test(test_name, variants, weights=weights, coverage=coverage, key=key)

    def stop_ab_test(self, test_id: str, winner: str | None = None) -> str:
        """Stop a test: everybody gets one variant, and what happens from now on is not counted.

        It holds at the next assignment in every process of the store, and is durable when it returns. Stopping again
        with another winner changes what everybody gets and nothing else.

        Args:
            test_id: what `create_ab_test` returned.
            winner: the variant that everybody gets; the control when not given.

        Returns:
            That variant.

        Raises:
            ValueError: the test has no such variant.
            NotFound: there is no such test.
            StoreUnavailable: nothing was stopped. With a spool, a process that knows the test stops it, as of now, and
                for all others it is stopped when the store is there.
        """
        return self._ab_tests.stop_ab_test(test_id, winner)

    def assign_variant(self, test_id: str, user_id: object) -> str | None:
        """Return the variant of a user and record that they met it; the first time counts.

        The unit is the person: whom `identify` has linked gets what the person met first under any id. Without a store,
        or while it cannot be asked, the hash of the id decides. Of a test that was stopped everybody gets the winner.

        Args:
            test_id: what `create_ab_test` returned.
            user_id: an int, a UUID or a non-empty string; `1` and `"1"` are the same user.

        Returns:
            The variant; `None` outside coverage, and when the store cannot be asked what the test is.

        Raises:
            ValueError: the user id is none.
            NotFound: there is no such test.
        """
        return self._ab_tests.assign_variant(test_id, user_id)

    def record_ab_conversion(
        self, test_id: str, user_id: object, *, timestamp: datetime | None = None, event_id: str | None = None
    ) -> str:
        """Record that a user converted; it counts once per user, at or after the first exposure.

        It is a fact of the test alone: no event and no activity of the user, and no conversion in the users' report. An
        event of type `conversion` with the property `experiment` converts in the test which that names, and is an event
        of the user. A user never assigned is recorded and not counted; nor is, while the store cannot be asked, whoever
        converts in a test that does not exist.

        Args:
            test_id: what `create_ab_test` returned.
            user_id: an int, a UUID or a non-empty string.
            timestamp: aware; now when not given.
            event_id: a second event with the same id is a duplicate.

        Returns:
            The id of the event.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NotFound: there is no such test.
        """
        return self._ab_tests.record_ab_conversion(test_id, user_id, timestamp=timestamp, event_id=event_id)

    def get_ab_test_results(self, test_id: str, *, environment: str | None = None) -> AbTest:
        """Return what a test says so far, of one environment.

        Raises:
            NotFound: there is no such test.
            NoStore: there is none to ask.
        """
        return self._ab_tests.get_ab_test_results(test_id, environment=environment)

    def get_ab_test_series(
        self,
        test_id: str,
        window: str = "30d",
        *,
        step: str | None = None,
        as_of: date | None = None,
        environment: str | None = None,
    ) -> Series:
        """Return what a test said at the end of each day or week, of one environment.

        Args:
            test_id: what `create_ab_test` returned.
            window: such as "30d", whole local days that end with today or `as_of`.
            step: "1d" or "1w"; days up to 92 of them when not given.
            as_of: the last day.
            environment: of this one.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NotFound: there is no such test.
            NoStore: there is none to ask.
        """
        return self._ab_tests.get_ab_test_series(test_id, window, step=step, as_of=as_of, environment=environment)
