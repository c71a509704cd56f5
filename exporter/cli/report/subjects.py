"""What each report shows: the answer of its endpoint, and what is drawn of it and of others beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from exporter.api import experiments as experiments_api
from exporter.api import infrastructure as infrastructure_api
from exporter.api import models as models_api
from exporter.api import users as users_api
from exporter.cli.report.asked import Endpoints, ReportAsked
from exporter.cli.views import experiments, machine, models, users
from exporter.cli.views.document import Document, Part
from exporter.cli.views.numbers import moment
from exporter.http.query import (
    EnvironmentQuery,
    ExperimentSeriesQuery,
    MachineSeriesQuery,
    ModelQuery,
    ModelSeriesQuery,
    UserQuery,
)
from exporter.http.types import NoQuery
from otel_measure.definitions.windows import Window


class Reported(NamedTuple):
    """A report.

    Attributes:
        path: of its endpoint, below that of the API.
        query: that it is asked.
        answer: of its handler.
        document: returns what is drawn; more questions are asked only then.
    """

    path: str
    query: msgspec.Struct
    answer: object
    document: Callable[[], Document]


Report = Callable[[Endpoints, ReportAsked, str], Reported]


def _about(ask: Endpoints, asked: ReportAsked, window: Window | None) -> tuple[tuple[str, str], ...]:
    zone = ask.zone
    rows = []
    if window is not None:
        rows.append(("", f"{moment(window.start, zone)} to {moment(window.end, zone)}"))
        rows.append(("environment", window.environment or "unnamed"))
    if asked.service is not None:
        rows.append(("service", asked.service))
    if window is not None and window.definitions != "current":
        rows.append(("counted by", f"{window.definitions} definitions"))
    return (*rows, ("as of", f"{ask.now:%Y-%m-%d %H:%M}"), ("times in", zone.key))


def _models(ask: Endpoints, asked: ReportAsked, store: str) -> Reported:
    times = asked.times(ask.zone)
    query = ModelQuery(**times, service=asked.service, environment=asked.environment)
    listed = ask.ask(models_api.models, query)
    answer = listed.answer

    def document() -> Document:
        parts: tuple[Part, ...] = (models.how_to_record(store),)
        if answer.models:
            of_series = ModelSeriesQuery(**times, service=query.service, environment=query.environment)
            series = ask.ask(models_api.series, of_series)
            parts = (
                models.together(answer),
                *models.over_time(series, ask.zone),
                models.models_table(answer),
                models.what_to_do(answer),
            )
        return Document("Models", "", "", _about(ask, asked, answer.window), parts)

    return Reported("/ai/models", query, listed, document)


def _users(ask: Endpoints, asked: ReportAsked, store: str) -> Reported:
    query = UserQuery(**asked.days(ask.now.date()), service=asked.service, environment=asked.environment)
    answer = ask.ask(users_api.summary, query)

    def document() -> Document:
        window = answer.engagement.window
        parts: tuple[Part, ...] = (users.how_to_record(store),)
        if answer.total_users:
            of_series = users_api.UserSeriesQuery(
                window=query.window, as_of=query.as_of, service=query.service, environment=query.environment
            )
            series = ask.ask(users_api.series, of_series)
            parts = (
                users.figures(answer, _days(window, ask)),
                *users.over_time(series, ask.zone),
                users.segments(answer),
                users.answers(answer),
                users.retention(answer),
            )
        return Document("Users", "", "", _about(ask, asked, window), parts)

    return Reported("/users/summary", query, answer, document)


def _days(window: Window, ask: Endpoints) -> str:
    first = window.start.astimezone(ask.zone).date()
    end = window.end.astimezone(ask.zone)
    last = datetime.fromtimestamp(end.timestamp() - 1, ask.zone).date()
    return f"{first} to {last}"


def _experiments(ask: Endpoints, asked: ReportAsked, store: str) -> Reported:
    query = EnvironmentQuery(environment=asked.environment)
    answer = ask.ask(experiments_api.experiments, query)

    def document() -> Document:
        tests = answer.experiments
        parts: list[Part] = [experiments.experiments_table(tests, ask.zone)] if tests else []
        of_series = ExperimentSeriesQuery(environment=asked.environment)
        for test in sorted(tests, key=lambda test: test.created_at, reverse=True):
            series = ask.ask(experiments_api.series, of_series, id=test.test_id)
            said, variants = experiments.what_it_says(test), experiments.variants(test)
            parts += [said, variants, *experiments.over_time(test, series, ask.zone)]
        parts = parts or [experiments.how_to_begin(store)]
        return Document("Experiments", "", "", _about(ask, asked, None), tuple(parts))

    return Reported("/experiments", query, answer, document)


def _machine(ask: Endpoints, asked: ReportAsked, store: str) -> Reported:
    query = MachineSeriesQuery(**asked.times(ask.zone))
    answer = ask.ask(infrastructure_api.series, query)

    def document() -> Document:
        environment = EnvironmentQuery(environment=asked.environment)
        services = ask.ask(infrastructure_api.services, environment).services
        measured = ask.runtime.infrastructure.list_availability(environment=asked.environment)
        parts: tuple[Part, ...] = (
            machine.now(ask.ask(infrastructure_api.summary, environment)),
            machine.extremes(answer),
            *machine.over_time(answer, ask.zone),
            machine.services_table(services, measured, ask.now),
            machine.hosts_table(ask.ask(infrastructure_api.hosts, NoQuery()).hosts, ask.zone),
        )
        return Document("Machine", "", "", _about(ask, asked, answer.window), parts)

    return Reported("/infrastructure/series", query, answer, document)


REPORTS: Final[Mapping[str, Report]] = {
    "models": _models,
    "users": _users,
    "experiments": _experiments,
    "machine": _machine,
}
