"""Our evaluator and a real Prometheus with our rules, over the same histories: what one's `/metrics` told the other."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias

import pytest

from exporter.promql.alerts import alerts
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.definitions.kpis import KPIS
from tests.closing import closed_later
from tests.exporter.promql.backfilled import BackfilledPrometheus, backfilled, samples
from tests.exporter.promql.differences import DIFFERENCES
from tests.exporter.promql.scraped import ScrapedWorld
from tests.exporter.promql.seed_histories import END, EVERYBODY, HOST, SEED_HISTORIES, History, played

pytestmark = [pytest.mark.e2e, pytest.mark.no_cover]
Firing: TypeAlias = set[tuple[str, str]]
BY_KEY: Final = {rule.key: rule for rule in ALERT_RULES}


def firing_there(prometheus: BackfilledPrometheus, world: ScrapedWorld) -> Firing:
    """Return rule and subject of what fires in Prometheus at the end of a world, by the names that we have for them.

    Rules about otel-measure itself are left out: its clock and its scrapes are those of the test.
    """
    firing = set()
    for alert in alerts(ALERT_RULES):
        about = BY_KEY[alert.rule].about
        for labels in prometheus.firing(alert, END) if about != "process" else ():
            if world.name in (labels.get("deployment_environment_name"), labels.get("host_name")):
                firing.add((alert.rule, EVERYBODY if about == "users" else labels[alert.subject]))
    return firing


def firing_here(world: ScrapedWorld) -> Firing:
    """Return the same of our own evaluator."""
    return {(rule, subject) for rule, subject in world.firing() if BY_KEY[rule].about != "process"}


def played_in(folder: Path, name: str, histories: tuple[History, ...], *, is_bad: bool) -> ScrapedWorld:
    """Return a world in which histories have happened; the end of the test ends it."""
    (folder / name).mkdir()
    return closed_later(played(name, folder / name, histories, is_bad=is_bad))


def firing_in_both(folder: Path, *worlds: ScrapedWorld) -> tuple[list[Firing], list[Firing]]:
    """Return what fires at the end of each world, here and in Prometheus."""
    told = (line for world in worlds for line in samples(world.name, world.scrapes))
    with backfilled(told, folder) as prometheus:
        return [firing_here(world) for world in worlds], [firing_there(prometheus, world) for world in worlds]


def test_each_alert_of_the_specification_fires_in_both_and_is_quiet_in_both(tmp_path: Path) -> None:
    """What goes wrong is told by our evaluator and by Prometheus; where all is well, nothing is told by either."""
    fires, quiet = (
        played_in(tmp_path, name, SEED_HISTORIES, is_bad=is_bad) for name, is_bad in (("fires", True), ("quiet", False))
    )
    here, there = firing_in_both(tmp_path, fires, quiet)
    assert here == there
    assert {(one.rule, fires.name if one.subject == HOST else one.subject) for one in SEED_HISTORIES} <= here[0]
    assert here[1] == set()


def test_what_promql_cannot_say_differs_as_the_docs_have_it(tmp_path: Path) -> None:
    """In a history of each row of the docs one of the two has the alert firing, and the other one has not."""
    world = played_in(tmp_path, "differs", tuple(one.history for one in DIFFERENCES), is_bad=True)
    (here,), (there,) = firing_in_both(tmp_path, world)
    told = {(one.history.rule, one.history.subject): one for one in DIFFERENCES}
    assert {key: (key in here, key in there) for key in told} == {
        key: (one.fires_here, not one.fires_here) for key, one in told.items()
    }


def test_what_differs_is_a_row_of_the_docs() -> None:
    """Each history is of a row, by the beginning of its first cell."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "prometheus.md").read_text("utf-8")
    assert [one.row for one in DIFFERENCES if f"\n| {one.row}" not in page] == []


def test_the_histories_are_those_of_the_specification() -> None:
    """Every rule of whose KPI the specification says when it alerts has its histories."""
    of_the_seed = {kpi.key for kpi in KPIS if kpi.source == "seed" and kpi.alert is not None}
    assert {one.rule for one in SEED_HISTORIES} == {rule.key for rule in ALERT_RULES if rule.kpi in of_the_seed}
