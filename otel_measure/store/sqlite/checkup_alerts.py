"""The check of alerts: whether somebody evaluates them, by one set of rules, and which receivers take nothing."""

from __future__ import annotations

from typing import Final

from otel_measure.definitions.days import moment
from otel_measure.store.sqlite.alerts import SqliteAlertQuestions
from otel_measure.store.sqlite.checked_file import StoreFile, opened
from otel_measure.store.types.alerts import LastEvaluation
from otel_measure.store.types.findings import Finding, ok, warning

_LATE_US: Final = 600 * 1_000_000
_START: Final = "start `otel-measure serve`, or set alert_evaluation = always where an application runs"
_ONE_SET: Final = "give all processes of the store the same version and settings, or stop one of them"
_REACH: Final = "try `otel-measure alerts test`; what they missed waits in the store"


def alerts(s: StoreFile) -> Finding:
    """When alerts were evaluated last, who may not evaluate them, and who takes no notifications."""
    with opened(s) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alert_evaluator'").fetchone():
            return ok("not known before the next process starts")
        known = SqliteAlertQuestions(connection)
        last, receivers = known.last_evaluation(), known.receivers()
        waiting = {name: len(known.waiting(name)) for name in receivers}
    if last is None or not last.at_us:
        return ok("never evaluated: no server has run here")
    lines, remedies = _evaluation(last, s.now_us())
    for name, state in receivers.items():
        if state.failures:
            since = f"{moment(state.failing_since_us):%Y-%m-%d %H:%M} UTC"
            lines.append(f"the receiver {name} takes nothing since {since}: {waiting[name]} wait")
            remedies.append(_REACH)
    return (warning if remedies else ok)("\n".join(lines), "\n".join(dict.fromkeys(remedies)))


def _evaluation(last: LastEvaluation, now: int) -> tuple[list[str], list[str]]:
    lines, remedies = [f"evaluated last at {moment(last.at_us):%Y-%m-%d %H:%M} UTC"], []
    if now - last.at_us > _LATE_US:
        remedies.append(_START)
    if 0 <= now - last.refused_us <= _LATE_US:
        lines.append("a process with other rules does not evaluate")
        remedies.append(_ONE_SET)
    return lines, remedies
