"""The thread that evaluates alerts and tells of them: receivers that answer slowly hold nothing else up."""

from __future__ import annotations

from collections.abc import Callable

from otel_measure.alerting.delivery.courier import Courier
from otel_measure.alerting.evaluator import Evaluator
from otel_measure.background import NOTIFICATIONS, Background, jobs_of_alerts
from otel_measure.parts import Fault

_LONGEST_END_S = 2.0  # a request that is under way may take longer, and what it brings is sent again


class AlertThread:
    """Evaluates alerts and sends notifications, when they are due.

    Args:
        evaluator: does a turn.
        courier: sends what is to be told.
        fault: takes what they raise.
        monotonic: seconds; decides what is due.
        interval_s: from turn to turn.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        courier: Courier,
        fault: Fault,
        monotonic: Callable[[], float],
        interval_s: float,
    ) -> None:
        self._evaluator = evaluator
        self._courier = courier
        self._is_started = False
        jobs = jobs_of_alerts(evaluate=self._evaluate, deliver=courier.deliver, interval_s=interval_s)
        self._recurring = Background(jobs, fault, monotonic, name="otel-measure-alerts")

    def start(self) -> None:
        """Start it; again is a no-op."""
        self._is_started = True
        self._recurring.start()

    def run_due(self) -> None:
        """Do what is due now; for tests."""
        self._recurring.run_due()

    def stop(self, timeout_s: float) -> None:
        """End it, and let another process go on at once; of 0 s, once this one's term is over."""
        self._recurring.end()
        if self._is_started and timeout_s > 0:
            self._recurring.finish(min(timeout_s, _LONGEST_END_S))
            self._evaluator.give_up()
            self._courier.give_up()

    def after_fork_in_child(self) -> None:
        """Become the thread of another process."""
        self._recurring.after_fork_in_child()

    def _evaluate(self) -> None:
        if self._evaluator.evaluate():
            self._recurring.run_soon(NOTIFICATIONS)
