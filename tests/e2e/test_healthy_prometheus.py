"""Our rules in a real Prometheus over simulated histories; `python -m tests.exporter.promql.healthy` is longer."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.definitions.simulated_alerts import simulated_models, simulated_services
from tests.exporter.promql.backfilled import backfilled
from tests.exporter.promql.healthy import of_model, of_service, pages

pytestmark = [pytest.mark.e2e, pytest.mark.no_cover]


def test_two_healthy_days_wake_nobody_in_prometheus(tmp_path: Path) -> None:
    """Models of four shapes and five services page never, while the outage of another model does."""
    days, step = 2, 2
    other, *healthy = list(simulated_models(25, days))[15:20]
    failing = other.with_outage("errors", 2000, 45)
    lines = chain(
        chain.from_iterable(of_model(model, step) for model in (*healthy, failing)),
        chain.from_iterable(of_service(history, days, step) for history in simulated_services(5, days)),
    )
    with backfilled(lines, tmp_path) as prometheus:
        told = list(pages(prometheus, days, step))
    assert [(page.alert, page.subject) for page in told] == [("OtelMeasureModelErrors", failing.name)]
