"""The screen: the worst in a sentence, what fires, and each domain in some lines, as many as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.cli.status.glance import Glance
from exporter.cli.views import experiments, machine, models
from exporter.cli.views.document import Cell, Document, Look, Part, ShownColumn, ShownFigures, ShownTable
from exporter.cli.views.numbers import counted, duration, one, percent, share, whole

EVERYTHING: Final = 1000
_FEWEST: Final = 3
_AROUND: Final = 14
"""Lines beside the rows of the four tables: sentence, titles, headings, blank lines, machine and users."""
_LOOKS: Final[dict[str, Look]] = {"page": "bad", "critical": "bad", "ticket": "fair"}


def screen(told: Glance, store: str, height: int | None) -> Document:
    """Return what is shown.

    Args:
        told: how everything is.
        store: where it was read.
        height: lines of the terminal; `None` for no end.
    """
    status = told.status
    about = (
        ("", f"{told.now:%Y-%m-%d %H:%M:%S} {told.zone.key}"),
        ("environment", status.environment or "unnamed"),
        ("store", store),
    )
    look: Look = "" if status.look == "unknown" else status.look
    return Document("otel-measure", status.sentence, look, about, _parts(told, store, height))


def _parts(told: Glance, store: str, height: int | None) -> tuple[Part, ...]:
    if told.is_empty:
        return _firing(told, EVERYTHING), _machine(told), models.how_to_record(store)
    used = sum(1 for model in told.models.models if model.inference_count)
    most = rows_for([len(told.status.firing), len(told.services), used, len(told.experiments)], height)
    services = machine.services_table(told.services, told.overview.services, told.now, most=most[1])
    return (
        _firing(told, most[0]),
        _machine(told),
        services,
        models.models_table(told.models, most=most[2], note="the last 24 hours"),
        _users(told),
        experiments.experiments_table(told.experiments, told.zone, most=most[3]),
    )


def rows_for(rows: Sequence[int], height: int | None) -> list[int]:
    """Return how many rows each table may have: all, or what there is room for, shared out line by line.

    Args:
        rows: that each has.
        height: lines of the terminal; `None` for no end.
    """
    if height is None:
        return list(rows)
    given = [min(n, _FEWEST) for n in rows]
    left = height - _AROUND - 2 * len(rows) - sum(given)
    while left > 0 and given != list(rows):
        for i, n in enumerate(rows):
            if left > 0 and given[i] < n:
                given[i], left = given[i] + 1, left - 1
    return given


def _firing(told: Glance, most: int) -> ShownTable:
    status = told.status
    columns = (
        ShownColumn("", is_text=True, rank=2),
        ShownColumn("What", is_text=True),
        ShownColumn("Value", is_text=True, rank=4),
        ShownColumn("Cause", is_text=True, rank=3),
        ShownColumn("Since", is_text=True, rank=1),
    )
    shown = status.firing[:most]
    rows = tuple(
        (
            Cell(alert.severity, _LOOKS[alert.severity]),
            alert.sentence,
            f"{alert.value:,.4g}" if alert.value == alert.value else "",
            alert.cause,
            "now" if alert.since is None else duration((told.now - alert.since).total_seconds()),
        )
        for alert in shown
    )
    note = f"{len(shown)} of {len(status.firing)}" if len(status.firing) > len(shown) else ""
    evaluated = status.evaluated
    by_rules = (
        "nobody evaluates the rules of this store (`otel-measure serve` does)"
        if evaluated is None
        else f"rules were evaluated {duration((told.now - evaluated).total_seconds())} ago"
    )
    return ShownTable("Firing", columns, rows, "; ".join(filter(None, (note, by_rules))), "nothing fires")


def _machine(told: Glance) -> ShownFigures:
    now = told.overview.machine
    cpu, memory, disk = now["cpu"], now["memory"], now["disk"]
    values = (
        f"CPU {percent(cpu['current_percent'])} · memory {percent(memory['used_percent'])}"
        f" · disk {percent(disk['used_percent'])} · load {one(cpu['load_average']['1m'])}"
    )
    return ShownFigures("This machine", ((values, "", ""),), now["status"])


def _users(told: Glance) -> ShownFigures:
    users = told.overview.users
    if users is None or not users.summary.total_users:
        return ShownFigures("Users", (("nobody was seen yet", "", ""),))
    summary = users.summary
    engagement, nps = summary.engagement, summary.nps
    values = (
        f"{whole(engagement.dau)} today · {whole(engagement.wau)} in 7 days"
        f" · {whole(engagement.mau)} in {engagement.mau_window_days} days"
        f" · {share(summary.conversion.conversion_rate)} convert · {share(engagement.bounce_rate)} bounce"
        f" · NPS {one(nps.nps_score)}"
    )
    return ShownFigures(
        "Users", ((values, "", ""),), f"{counted(summary.total_users, 'user')} ever seen, the last 30 days"
    )
