"""What is shown of users: how many, how they come and go, whether they return, what they answer."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from exporter.cli.views.advice import record_line
from exporter.cli.views.document import Advice, Chart, Line, ShownColumn, ShownFigures, ShownTable, of_whole_steps
from exporter.cli.views.numbers import counted, duration, interval, one, share, whole, words
from otel_measure.definitions.series import Series
from otel_measure.users.reports import UsersSummary

_SEGMENTS: Final = ("new", "active", "power", "at_risk", "churned", "resurrected")
_ANSWERS: Final = ("promoters", "passives", "detractors")
_LIFECYCLE: Final = ("new", "returning", "resurrecting", "dormant")
_DAYS: Final = (1, 7, 30)


def how_to_record(store: str) -> Advice:
    """Return the line that writes an event of a user into this very store."""
    call = "get_user_analytics_service().track_event(123, 'page_view', 'home_page')"
    return Advice(
        "Nobody was seen yet. This line records an event in this store:",
        record_line(store, f"from otel_measure import get_user_analytics_service; {call}"),
    )


def figures(users: UsersSummary, days: str) -> ShownFigures:
    """Return the figures of users; what is unknown says why.

    Args:
        users: the summary.
        days: the window of the figures, as a person reads it.
    """
    engagement, conversion, retention, nps = users.engagement, users.conversion, users.retention, users.nps
    missing = engagement.missing | retention.missing | conversion.missing

    def with_interval(name: str, ends: tuple[float, float]) -> str:
        told = interval(ends, share)
        return missing.get(name, "") or (f"95 % interval {told}" if told else "")

    return ShownFigures(
        "Figures",
        (
            ("Active today", whole(engagement.dau), "so far"),
            ("Active in 7 days", whole(engagement.wau), ""),
            (
                f"Active in {engagement.mau_window_days} days",
                whole(engagement.mau),
                f"of {users.total_users:,} ever seen",
            ),
            ("Stickiness", share(engagement.stickiness), missing.get("stickiness", "mean daily / monthly")),
            (
                "Sessions",
                whole(engagement.sessions),
                f"mean length {duration(engagement.avg_session_duration_seconds)}",
            ),
            ("Bounce rate", share(engagement.bounce_rate), with_interval("bounce_rate", engagement.bounce_rate_ci)),
            ("Return rate", share(engagement.return_rate), with_interval("return_rate", engagement.return_rate_ci)),
            (
                "Conversion rate",
                share(conversion.conversion_rate),
                f"{whole(conversion.converted_users)} of {conversion.entered_users:,}",
            ),
            ("Churn rate", share(retention.churn_rate), with_interval("churn_rate", retention.churn_rate_ci)),
            ("NPS", one(nps.nps_score), f"{counted(nps.responses, 'answer')} in 90 days"),
        ),
        days,
    )


def over_time(series: Series, zone: ZoneInfo) -> tuple[Chart, ...]:
    """Return the charts of users."""
    columns, start, active = series.columns, series.start, of_whole_steps(series, "active")
    lifecycle = tuple(Line(name, of_whole_steps(series, name)) for name in _LIFECYCLE)
    return (
        Chart("Active users", start, (Line("active", active),), whole, zone),
        Chart("Lifecycle", start, lifecycle, whole, zone),
        Chart("Conversion rate", start, (Line("converted", columns["conversion_rate"]),), share, zone),
        Chart("NPS", start, (Line("NPS", columns["nps_score"]),), one, zone),
    )


def segments(users: UsersSummary) -> ShownTable:
    """Return where users stand."""
    told = users.segments
    return _shares("Segments", {words(name): getattr(told, name) for name in _SEGMENTS}, "users")


def answers(users: UsersSummary) -> ShownTable:
    """Return what the answers were."""
    return _shares("NPS answers, 90 days", {name: getattr(users.nps, name) for name in _ANSWERS}, "answers")


def _shares(title: str, counts: dict[str, int], what: str) -> ShownTable:
    total = sum(counts.values())
    rows = tuple((name, whole(n), share(n / total)) for name, n in counts.items()) if total else ()
    return ShownTable(
        title,
        (ShownColumn("", is_text=True), ShownColumn(what.capitalize()), ShownColumn("Share")),
        rows,
        nothing="none yet",
    )


def retention(users: UsersSummary) -> ShownTable:
    """Return who came back, by the first day."""
    told = users.retention
    said = ", ".join(f"day {n} {share(getattr(told, f'day_{n}_retention'))}" for n in _DAYS)
    rows = tuple(
        (f"{row.day}", whole(row.users), *(share(getattr(row, f"day_{n}_retention")) for n in _DAYS))
        for row in reversed(told.cohorts)
    )
    columns = (ShownColumn("First seen", is_text=True), ShownColumn("Users"), *(ShownColumn(f"Day {n}") for n in _DAYS))
    return ShownTable(
        "Retention by first day", columns, rows, f"90 days; all together {said}", "nobody was first seen then"
    )
