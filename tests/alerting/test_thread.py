from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from otel_measure.alert_thread import AlertThread
from otel_measure.config import AlertEvaluation, Settings
from otel_measure.runtime import Runtime
from tests.alerting.evaluating import AlertServer
from tests.definitions.alerting.judging import judged


def is_evaluating(runtime: Runtime) -> bool:
    """Tell whether the thread of a process that evaluates alerts was started."""
    return runtime.alerts is not None and runtime.alerts._recurring._thread is not None


def refuse(what: str, message: str, error: Exception) -> None:
    """Raise what is a fault."""
    raise error


def test_what_a_turn_tells_is_sent_at_once() -> None:
    """The thread does not wait for its next look at the outbox."""
    server = AlertServer()
    server.judgements = [judged("beyond")]
    AlertThread(server.evaluator, server.courier, refuse, lambda: 0.0, 60.0).run_due()
    assert [body["status"] for body in server.log.taken()] == ["firing"]


def test_who_ends_in_order_lets_another_process_go_on_at_once() -> None:
    """Both rights are given up, that to evaluate and that to send."""
    one = AlertServer(name="one")
    other = AlertServer(one.store, name="other")
    thread = AlertThread(one.evaluator, one.courier, refuse, lambda: 0.0, 60.0)
    one.judgements = [judged("beyond")]
    thread.run_due()
    assert not other.minute()
    thread.start()
    thread.stop(5.0)
    assert other.minute(judged("beyond"), judged("beyond", subject=judged("beyond").subject._replace(name="m2")))
    assert [body["subject"]["name"] for body in other.log.taken()] == ["m2"]


@pytest.mark.parametrize("evaluation", get_args(AlertEvaluation))
def test_who_evaluates(evaluation: AlertEvaluation, tmp_path: Path) -> None:
    """A server does unless it never is to; another process only when it always is to."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db"), alert_evaluation=evaluation), raise_faults=True)

    runtime.start()
    before = is_evaluating(runtime)
    runtime.evaluate_alerts()
    seen = (before, is_evaluating(runtime))
    runtime.shutdown()
    assert seen == {"serve": (False, True), "always": (True, True), "never": (False, False)}[evaluation]
