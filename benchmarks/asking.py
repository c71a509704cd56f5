"""P6: reports over many events, against the same question as plain SQL on the embedded ClickHouse engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.report import Row, best, seconds
from benchmarks.workload import START_US, Workload
from otel_measure.config import Settings
from otel_measure.judging.scorecard import scorecard
from otel_measure.records.kinds import NpsResponse, UserEvent
from otel_measure.runtime import Runtime

DAY_US = 86_400_000_000
ACTIVE = "type NOT IN ('session.start', 'session.end')"
QUESTIONS: dict[str, str] = {
    "engagement": f"""
        WITH (SELECT max(toDate(ts)) FROM event) AS today
        SELECT uniqExactIf(user, toDate(ts) = today), uniqExactIf(user, toDate(ts) > today - 7),
               uniqExactIf(user, toDate(ts) > today - 28), uniqExact(session), uniqExact(user)
        FROM event WHERE {ACTIVE} AND toDate(ts) > today - 30""",
    "retention": f"""
        WITH first AS (SELECT user, min(toDate(ts)) AS day FROM event WHERE {ACTIVE} GROUP BY user)
        SELECT first.day, uniqExact(event.user), uniqExactIf(event.user, toDate(ts) = first.day + 1),
               uniqExactIf(event.user, toDate(ts) = first.day + 7),
               uniqExactIf(event.user, toDate(ts) = first.day + 30)
        FROM event JOIN first USING (user) WHERE {ACTIVE} GROUP BY first.day""",
    "conversion": f"""
        WITH entered AS (SELECT user, min(ts) AS first FROM event WHERE {ACTIVE} GROUP BY user)
        SELECT uniqExact(event.user), uniqExactIf(event.user, type = 'purchase' AND ts >= first)
        FROM event JOIN entered USING (user) WHERE {ACTIVE}""",
    "segments": f"""
        WITH days AS (SELECT user, groupUniqArray(toDate(ts)) AS d FROM event WHERE {ACTIVE} GROUP BY user),
             (SELECT max(toDate(ts)) FROM event) AS today
        SELECT countIf(today - arrayMin(d) < 7), countIf(arrayCount(x -> x > today - 28, d) >= 12),
               countIf(today - arrayMax(d) < 7), countIf(today - arrayMax(d) >= 30) FROM days""",
    "nps": """
        SELECT countIf(score >= 9), countIf(score <= 6), count()
        FROM (SELECT user, argMax(score, ts) AS score FROM nps GROUP BY user)""",
}


def rows(events: int) -> list[Row]:
    """Fill both with the same events over 60 days, ask each question warm, and keep the median."""
    with tempfile.TemporaryDirectory() as folder:
        clock = [START_US]
        runtime = Runtime(Settings(store=str(Path(folder) / "measure.db")), clock=lambda: clock[0])
        runtime.start()
        click = _ClickHouse(str(Path(folder) / "click"))
        workload = Workload(users=max(events // 50, 1000), step_us=60 * DAY_US // events)
        for _ in range(events // 10_000):
            batch = workload.events(10_000)
            clock[0] = workload.now_us
            runtime.recorder.commit(batch)
            answers = [_answer(event, i) for i, event in enumerate(batch[::100])]
            runtime.recorder.commit(answers)
            click.insert(batch, answers)
        users = runtime.users
        asked: dict[str, tuple[Callable[[], object], float, float]] = {
            "engagement": (users.get_engagement_metrics, 0.1, 20),
            "retention": (users.get_retention_metrics, 0.1, 20),
            "conversion": (lambda: users.get_conversion_metrics("purchase"), 0.1, 20),
            "nps": (users.get_nps_metrics, 0.1, 20),
            "segments": (users.segment_users, 0.5, float("inf")),
        }
        found = []
        for name, (ask, budget, most_ms) in asked.items():
            ask()
            ours = best(lambda ask=ask: seconds(ask), 5) * 1000  # type: ignore[misc]
            reference = best(lambda name=name: click.seconds(QUESTIONS[name]), 5) * 1000  # type: ignore[misc]
            found.append(Row("P6", f"{name}, {events:,} events, against ClickHouse", ours, reference, budget, "ms"))
            if most_ms < float("inf"):
                found.append(Row("P6", f"{name}, warm", ours, None, most_ms, "ms"))
        series = best(lambda: seconds(users.get_user_series), 5) * 1000
        found.append(Row("P12", f"/users/series, {events:,} events, default window, warm", series, None, 50, "ms"))
        page = best(lambda: seconds(lambda: runtime.alerts_now(scorecard(runtime.overview()))), 5) * 1000
        found.append(Row("P6", "dashboard: everything and its verdicts, warm", page, None, 50, "ms"))
        runtime.shutdown()
        click.close()
    return found


def _answer(event: UserEvent, i: int) -> NpsResponse:
    return NpsResponse(id=f"nps-{event.id}", ts=event.ts, origin=event.origin, user_id=event.user_id, score=i % 11)


class _ClickHouse:
    """The same rows in the embedded engine, in the order of their time as its users would keep them."""

    def __init__(self, path: str) -> None:
        self._session: Any = import_module("chdb.session").Session(path)  # it has no types
        self._session.query("CREATE DATABASE b ENGINE = Atomic")
        for name, columns in (
            ("event", "ts DateTime64(6), user String, type LowCardinality(String), session String"),
            ("nps", "ts DateTime64(6), user String, score UInt8"),
        ):
            self._session.query(f"CREATE TABLE b.{name} ({columns}) ENGINE = MergeTree ORDER BY ts")
        self._session.query("USE b")

    def insert(self, events: list[UserEvent], answers: list[NpsResponse]) -> None:
        """Insert the rows of one batch."""
        rows = ",".join(f"(fromUnixTimestamp64Micro({e.ts}),'{e.user_id}','{e.type}','{e.session_id}')" for e in events)
        self._session.query(f"INSERT INTO b.event VALUES {rows}")
        rows = ",".join(f"(fromUnixTimestamp64Micro({a.ts}),'{a.user_id}',{a.score})" for a in answers)
        self._session.query(f"INSERT INTO b.nps VALUES {rows}")

    def seconds(self, sql: str) -> float:
        """Return how long a question takes, its answer read."""
        return seconds(lambda: self._session.query(sql, "JSON").bytes())

    def close(self) -> None:
        """End the engine."""
        self._session.close()
