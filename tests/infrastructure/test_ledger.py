"""The ledger of services over a real store: back-fills, restarts, gaps, and clocks that step."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from math import isnan

import msgspec
import pytest

from otel_measure.definitions.days import moment
from otel_measure.definitions.windows import Window
from otel_measure.errors import NoStore, NotFound
from otel_measure.infrastructure.availability import Incident
from otel_measure.infrastructure.ledger import Ledger, Service, Services
from otel_measure.recorder import Recorder
from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Origin, Record
from otel_measure.store.types.facts import Receipt
from tests.facts import NOON
from tests.infrastructure.worlds import START, Quiet, World
from tests.store.asking import asked


def test_an_outage_is_told_with_its_reason_and_state(world: World) -> None:
    """While it lasts the service is down since its beginning; afterwards it is the last incident."""
    world.live(60)
    world.ledger.record("api", "down", reason="disk full")
    world.live(30)
    down = Service("api", "down", START + timedelta(seconds=60), 99.0, START)
    assert world.ledger.services() == Services((down,), 1, START + timedelta(seconds=90), "test")
    assert world.ledger.down() == 1
    world.ledger.record("api", "up")
    world.live(10)
    assert world.figures() == (70, 30, 0, 1)
    found = world.ledger.availability("api")
    ended = START + timedelta(seconds=90)
    assert found.last_incident == Incident(START + timedelta(seconds=60), ended, 30.0, "disk full")
    assert found.window == Window(START, START + timedelta(seconds=100), "UTC", environment="test")
    assert world.ledger.services() == Services(
        (Service("api", "up", None, 99.0, START),), 0, moment(world.now_us), "test"
    )


def test_states_survive_power_loss(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every state is committed durably before the call returns."""
    asked: list[bool] = []
    assert world.store is not None
    accept = world.store.accept

    def spy(records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        asked.append(durable)
        return accept(records, durable=durable)

    monkeypatch.setattr(world.store, "accept", spy)
    world.ledger.record("api", "down")
    world.ledger.observe("api", None)
    assert asked == [True, True]


def test_a_second_down_is_the_same_outage_and_a_second_up_changes_nothing(world: World) -> None:
    """States that repeat neither begin nor end anything, nor change the reason."""
    for state in ("up", "down", "down", "up", "up"):
        assert state in ("up", "down")
        world.live(15)
        world.ledger.record("api", "up" if state == "up" else "down", reason=state)
    world.live(15)
    assert world.figures() == (60, 30, 0, 1)


def test_a_back_fill_is_an_outage_like_any_other(world: World) -> None:
    """States with a time in the past count from then on."""
    world.live(120)
    world.ledger.record("api", "up", at=START + timedelta(seconds=40))
    world.ledger.record("api", "down", at=START + timedelta(seconds=30))
    assert world.figures() == (110, 10, 0, 1)


def test_a_watched_service_is_observed_while_it_is_watched(world: World) -> None:
    """Before the first watch whoever is alive is there to see, from then on who watches it; other services stay."""
    world.ledger.register("db")
    world.live(60)
    world.ledger.watch("api")
    world.live(120, watching=["api"])
    world.ledger.end_watch("api")
    assert world.figures() == (180, 0, 0, 0)
    world.step(10)
    assert world.figures() == (180, 0, 10, 0)
    world.live(600)
    assert world.figures() == (180, 0, 610, 0)
    assert world.ledger.availability("db").unknown_seconds == 0
    world.ledger.watch("api")
    world.live(60, watching=["api"])
    assert world.figures() == (240, 0, 610, 0)


def test_who_watches_too_goes_on_being_there(world: World) -> None:
    """Of two watchers one gives up, and the next heartbeat of the other takes up the run."""
    world.ledger.watch("api")
    world.live(60, watching=["api"])
    world.ledger.end_watch("api")
    world.live(60, watching=["api"])
    assert world.figures() == (120, 0, 0, 0)


def test_a_watcher_that_died_leaves_the_rest_unknown(world: World) -> None:
    """Though others live: from its last heartbeat on, once the next one is overdue; an outage lasts through it."""
    world.ledger.register("db")
    for name in ("api", "db"):
        world.ledger.watch(name)
    world.live(60, watching=["api", "db"])
    world.ledger.record("db", "down")
    world.live(300)
    assert world.figures() == (60, 0, 300, 0)
    db = world.ledger.availability("db")
    assert (db.uptime_seconds, db.downtime_seconds, db.unknown_seconds) == (60, 300, 0)


def test_planned_time_is_neither_up_nor_down(world: World) -> None:
    """Told before or afterwards; while it lasts the state is maintenance and nothing is down."""
    start = START + timedelta(seconds=60)
    world.ledger.record_maintenance("api", start, start + timedelta(seconds=60), "upgrade")
    world.live(75)
    world.ledger.record("api", "down", reason="upgrading")
    (service,) = world.ledger.services().services
    assert (service.state, service.down_since, world.ledger.down()) == ("maintenance", None, 0)
    assert [is_down for _, is_down in world.ledger.lifetimes()] == [False]
    world.live(60)
    assert world.ledger.down() == 1
    world.ledger.record("api", "up")
    world.live(15)
    assert world.figures() == (75, 15, 0, 1)
    world.ledger.record_maintenance("api", start, start + timedelta(seconds=80))
    report = world.ledger.availability("api")
    assert (report.maintenance_seconds, report.downtime_seconds, report.incidents) == (80, 0, 0)
    assert report.availability_percent == 100


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (START, START, "end must come after start, not 2026-01-15 12:00:00+00:00 after 2026-01-15 12:00:00+00:00"),
        (None, START, "start must be an aware datetime, not None"),
        (START, datetime(2026, 1, 1), "end must carry a time zone"),
    ],
)
def test_planned_time_has_a_beginning_and_an_end(world: World, start: datetime, end: datetime, message: str) -> None:
    """Both are aware, and the end comes later; an unknown service has none."""
    with pytest.raises(ValueError, match=re.escape(message)):
        world.ledger.record_maintenance("api", start, end)
    with pytest.raises(NotFound, match="no service named 'web'"):
        world.ledger.record_maintenance("web", START, START + timedelta(1))


def test_what_came_before_registration_does_not_count(world: World) -> None:
    """A window never begins before the registration, but an outage may."""
    world.ledger.record("api", "down", at=START - timedelta(hours=1))
    world.live(60)
    world.ledger.record("api", "up")
    world.live(60)
    assert world.figures() == (60, 60, 0, 1)
    assert world.figures("1m") == (60, 0, 0, 0)


IN_PERCENT = "sla_target must be in percent, above 1 and up to 100 (99.9, not 0.999)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda ledger: ledger.record("api", "down", at=START + timedelta(seconds=1)),
            "at must not lie in the future, not 2026-01-15 12:00:01+00:00 (now is 2026-01-15 12:00:00+00:00)",
        ),
        (
            lambda ledger: ledger.record("api", "down", at=datetime(2026, 1, 1)),
            "at must carry a time zone (datetime.now(timezone.utc)), not the naive datetime.datetime(2026, 1, 1, 0, 0)",
        ),
        (lambda ledger: ledger.record("", "down"), "name must be a non-empty string, not ''"),
        (lambda ledger: ledger.record("api", "down", reason=1), "reason must be a non-empty string, not 1"),
        (lambda ledger: ledger.register(7), "name must be a non-empty string, not 7"),
        (lambda ledger: ledger.register("x", 0.999), f"{IN_PERCENT}, not 0.999"),
        (lambda ledger: ledger.register("x", 101), "sla_target must be at most 100, not 101"),
        (lambda ledger: ledger.register("x", True), "sla_target must be a number, not True"),
        (lambda ledger: ledger.availability(None), "name must be a non-empty string, not None"),
        (
            lambda ledger: ledger.availability("api", as_of=date(2026, 1, 16)),
            "as_of must not lie in the future, not 2026-01-16",
        ),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(world: World, call: Callable[[Ledger], object], message: str) -> None:
    """Each argument that breaks its rule is a `ValueError` with argument, rule and value."""
    with pytest.raises(ValueError, match="must") as refused:
        call(world.ledger)
    assert str(refused.value) == message


def test_a_time_beyond_retention_is_refused(world: World) -> None:
    """A back-fill that the store would not keep is an error and not a silent loss."""
    assert world.store is not None
    world.store.sweep(NOON)
    with pytest.raises(ValueError, match="at is refused: timestamp is older than the store's retention"):
        world.ledger.record("api", "down", at=datetime(2020, 1, 1, tzinfo=UTC))


def test_unknown_services(world: World) -> None:
    """Of an unknown service nothing is known and nothing can be recorded; no figure of it is a 0."""
    found = world.ledger.availability("web", "1h")
    assert msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(found))) == {
        "service_name": "web", "availability_percent": None, "availability_percent_low": None,
        "availability_percent_high": None, "uptime_seconds": None, "downtime_seconds": None, "unknown_seconds": None,
        "maintenance_seconds": None,
        "coverage_ratio": None, "incidents": 0, "mtbf_seconds": None, "mttr_seconds": None, "sla_target": None,
        "sla_compliance": None, "sla_status": "insufficient_data", "error_budget_remaining_seconds": None,
        "error_budget_remaining_ratio": None, "last_incident": None,
        "window": {
            "start": "2026-01-15T11:00:00Z", "end": "2026-01-15T12:00:00Z", "timezone": "UTC",
            "definitions": "current", "environment": "test",
        },
    }  # fmt: skip
    assert not world.ledger.knows("web")
    assert world.ledger.knows("api")
    with pytest.raises(NotFound, match="no service named 'web'"):
        world.ledger.record("web", "down")
    with pytest.raises(NotFound, match="no service named 'web'"):
        world.ledger.observe("web", None)


def test_without_a_store_nothing_is_down_and_nothing_can_be_asked() -> None:
    """Every question says what it needs; a heartbeat and the count of the summary do without."""
    ledger = World(None).ledger
    ledger.beat()
    assert ledger.down() == 0
    calls: list[Callable[[], object]] = [
        lambda: ledger.register("api"),
        lambda: ledger.record("api", "down"),
        lambda: ledger.availability("api"),
        ledger.availabilities,
        ledger.services,
    ]
    for call in calls:
        with pytest.raises(NoStore, match="the availability of services needs a store"):
            call()


def test_restart_in_the_middle_of_an_outage(world: World) -> None:
    """A process that ends while a service is down leaves it down, through the gap, until somebody says up."""
    world.live(60)
    world.ledger.record("api", "down")
    world.live(30)
    world.restart()
    world.step(600)
    assert world.is_down()
    world.ledger.beat()
    world.live(30)
    world.ledger.record("api", "up")
    world.live(60)
    assert world.figures() == (120, 660, 0, 1)


def test_time_that_nobody_watched_is_unknown(world: World) -> None:
    """A gap in the heartbeats is neither up nor down: it lowers the coverage and widens the bounds."""
    world.live(60)
    world.restart()
    world.step(120)
    world.ledger.beat()
    world.live(60)
    assert world.figures() == (120, 0, 120, 0)
    found = world.ledger.availability("api")
    assert (found.availability_percent_low, found.availability_percent, found.availability_percent_high) == (
        50,
        100,
        100,
    )
    assert (found.coverage_ratio, found.sla_compliance, found.sla_status) == (0.5, None, "insufficient_data")


def test_a_short_restart_is_no_gap(world: World) -> None:
    """Up to three heartbeats may be missing, at the end of the window too."""
    world.live(60)
    world.restart()
    world.step(45)
    assert world.figures() == (105, 0, 0, 0)
    world.ledger.beat()
    world.live(15)
    world.step(45.000_001)
    assert world.figures() == (120, 0, 45.000_001, 0)


def test_a_probe_records_changes_only(world: World) -> None:
    """What a probe sees is recorded where the ledger says otherwise, whoever wrote it."""
    for down_because in (None, "HTTP 503", "HTTP 500", None, None):
        world.live(15)
        world.ledger.observe("api", down_because)
    assert world.store is not None
    (found,) = asked(world.store, lambda m: m.services.histories(0))
    recorded = [(change.at - NOON, change.state, change.reason) for change in found.changes]
    assert recorded == [(30_000_000, "down", "HTTP 503"), (60_000_000, "up", None)]


def test_as_of_ends_the_window_with_that_day(world: World) -> None:
    """Past days are answered as they were, before and after the registration."""
    world.live(60)
    world.step(86_400)
    world.ledger.beat()
    found = world.ledger.availability("api", "1d", date(2026, 1, 15))
    assert found.window == Window(START, datetime(2026, 1, 16, tzinfo=UTC), "UTC", environment="test")
    assert (found.uptime_seconds, found.unknown_seconds) == (60, 43_140)
    assert isnan(world.ledger.availability("api", "1d", date(2026, 1, 14)).availability_percent)


def test_lifetimes_reach_back_to_the_registration(world: World) -> None:
    """Since registration is since registration, whatever the window of the targets."""
    world.ledger.register("new")
    world.live(90)
    world.ledger.record("new", "down")
    found = [(life.service_name, life.uptime_seconds, down) for life, down in world.ledger.lifetimes()]
    assert found == [("api", 90, False), ("new", 90, True)]
    assert [a.service_name for a in world.ledger.availabilities("1m")] == ["api", "new"]


def test_a_service_is_watched_in_one_environment(world: World) -> None:
    """Staging's service of the same name goes down, is watched by itself, and answers say whose they are."""
    staging = Ledger(
        Origin("shop", "staging"),
        Recorder(world.store, Quiet(), raise_faults=True),
        world.store,
        world.clock,
        Uuid7(world.clock),
    )
    with pytest.raises(NotFound) as refused:
        staging.record("api", "down")
    assert str(refused.value) == (
        "no service named 'api': it is registered in the environment 'test', and this process records in 'staging';"
        " set OTEL_MEASURE_ENVIRONMENT=test"
    )
    staging.register("api", 95.0)
    staging.register("db")
    world.live(60)
    staging.record("api", "down")
    world.live(60)
    ours, theirs = world.ledger.services("test"), world.ledger.services("staging")
    told = [[(one.service_name, one.state, one.sla_target) for one in some.services] for some in (ours, theirs)]
    assert told == [[("api", "up", 99.0)], [("api", "down", 95.0), ("db", "up", 99.9)]]
    assert [(some.services_down, some.environment) for some in (ours, theirs)] == [(0, "test"), (1, "staging")]
    assert [world.ledger.down(of) for of in (None, "test", "staging")] == [0, 0, 1]
    assert [world.ledger.knows("db", of) for of in (None, "staging")] == [False, True]
    assert [one.window.environment for one in world.ledger.availabilities(environment="staging")] == ["staging"] * 2
    of_test, of_staging = (world.ledger.availability("api", environment=of) for of in ("test", "staging"))
    assert (of_test.uptime_seconds, of_test.downtime_seconds) == (120.0, 0.0)
    assert (of_staging.downtime_seconds, of_staging.uptime_seconds) == (60.0, 0.0)  # nobody of staging beat
    world.ledger.end_watch("api")
    assert world.ledger.availability("api", environment="staging").downtime_seconds == 60.0
