"""How often healthy models and services page by our rules in Prometheus: the histories are those of the simulation.

python -m tests.exporter.promql.healthy [models days] has a real Prometheus judge every minute, and prints the pages.
What wakes nobody (latency, cost, failures that go on) is not asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from exporter.promql.alerts import PromAlert, alerts
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.store.types.services import ServiceHistory
from tests.definitions.simulated_alerts import (
    BEFORE,
    DAY,
    START_US,
    Counts,
    SimulatedModel,
    simulated_models,
    simulated_services,
)
from tests.exporter.promql.backfilled import BackfilledPrometheus, backfilled

START: Final = datetime.fromtimestamp(START_US / 1e6, UTC)
_MODELS_AT_ONCE: Final = 10
_MINUTES_AT_ONCE: Final = 5_000  # Prometheus answers with 11,000 values of a series at most
PAGES: Final = tuple(
    alert for alert in alerts(ALERT_RULES) if alert.severity == "page" and alert.rule.startswith(("model_", "service_"))
)


class SimulatedPage(NamedTuple):
    """Somebody was woken: by which alert, of whom, when."""

    alert: str
    subject: str
    at: datetime


def counter(selector: str, per_minute: Counts, step: int, first: int = 0) -> Iterator[str]:
    """Yield the samples of a counter; it begins at 0 with a minute of the weeks before."""
    first_s = START.timestamp() + (first - BEFORE) * 60
    totals = np.concatenate(([0], per_minute[first:].cumsum()))[::step]
    yield from (f"{selector} {total} {first_s + k * step * 60:.0f}\n" for k, total in enumerate(totals.tolist()))


def of_model(model: SimulatedModel, step: int = 1) -> Iterator[str]:
    """Yield what `/metrics` tells of the calls of a model; how many failed weeks ago nobody asks."""
    name = f'otel_measure_ai_inferences_total{{gen_ai_request_model="{model.name}",otel_measure_outcome="%s"}}'
    yield from counter(name % "ok", model.calls - model.errors, step)
    yield from counter(name % "error", model.errors, step, BEFORE - DAY)


def of_service(history: ServiceHistory, days: int, step: int = 1) -> Iterator[str]:
    """Yield what `/metrics` tells of a service."""
    of = f'otel_measure_service_name="{history.service.name}"'
    outages = [
        (down.at / 1e6, up.at / 1e6) for down, up in zip(history.changes[::2], history.changes[1::2], strict=True)
    ]
    for minute in range(0, days * DAY + 1, step):
        now_s = START.timestamp() + minute * 60
        down_s = sum(min(up, now_s) - down for down, up in outages if down < now_s)
        is_up = not any(down <= now_s < up for down, up in outages)
        for series, labels, value in (
            ("up", "", int(is_up)),
            ("state_time_seconds", ',otel_measure_service_state="down"', down_s),
            ("objective_ratio", "", 0.999),
        ):
            yield f"otel_measure_service_{series}{{{of}{labels}}} {value} {now_s:.0f}\n"


def pages(prometheus: BackfilledPrometheus, days: int, step: int = 1) -> Iterator[SimulatedPage]:
    """Yield each page; it is judged every so many minutes."""
    for alert in PAGES:
        times: dict[str, list[float]] = {}
        for first in range(0, days * DAY, _MINUTES_AT_ONCE):
            last = min(first + _MINUTES_AT_ONCE - step, days * DAY)
            between = START + timedelta(minutes=first), START + timedelta(minutes=last)
            for subject, held in prometheus.times(alert, *between, step * 60):
                times.setdefault(subject, []).extend(held)
        yield from (page for subject, held in times.items() for page in _pages(alert, subject, held, step * 60))


def _pages(alert: PromAlert, subject: str, held: Sequence[float], step_s: int) -> Iterator[SimulatedPage]:
    """Yield each time that an alert began to fire: its conditions held for as long as it wants, and not just before."""
    since = last = fired = -np.inf
    for at in held:
        since = since if at - last <= step_s else at
        if at - since >= alert.holds_s:
            if at - fired > alert.clears_s:
                yield SimulatedPage(alert.name, subject, datetime.fromtimestamp(at, UTC))
            fired = at
        last = at


def healthy_pages(models: Iterable[SimulatedModel], services: int, days: int) -> Iterator[SimulatedPage]:
    """Yield the pages of healthy models, some at once, and of healthy services."""
    left = iter(models)
    while several := list(islice(left, _MODELS_AT_ONCE)):
        lines = (line for model in several for line in of_model(model))
        with TemporaryDirectory() as folder, backfilled(lines, Path(folder)) as prometheus:
            yield from pages(prometheus, days)
    lines = (line for history in simulated_services(services, days) for line in of_service(history, days))
    with TemporaryDirectory() as folder, backfilled(lines, Path(folder)) as prometheus:
        yield from pages(prometheus, days)


def main(arguments: Sequence[str]) -> None:
    """Print the pages."""
    models, days = (int(given) for given in arguments or ("200", "30"))
    number = 0
    for page in healthy_pages(simulated_models(models, days), 30, days):
        number += 1
        print(f"{page.alert} of {page.subject} at {page.at:%Y-%m-%d %H:%M} UTC", flush=True)
    print(f"{models} models and 30 services over {days} days: {number} pages")


if __name__ == "__main__":
    main(sys.argv[1:])
