"""The machine over time, from its readings to the series."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from math import isnan
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.steps import SeriesWindow
from otel_measure.errors import NoStore
from otel_measure.infrastructure.history import READINGS, MachineHistory
from otel_measure.infrastructure.readings import NEVER_READ
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.testing import START, Capture, Clock
from tests.infrastructure.fakes import GIB, Interface, Machine, disk


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty store in memory."""
    made = SqliteStore(":memory:")
    yield made
    made.close()


def history_of(machine: Machine, store: Store | None, clock: Clock) -> MachineHistory:
    """Return the history of a machine that is read whenever somebody asks."""
    return MachineHistory(machine.sampler.sample, store, clock, "UTC")


def known(column: tuple[float, ...]) -> list[float | None]:
    """Return a column with `None` where it is unknown."""
    return [None if isnan(number) else number for number in column]


def test_the_series_whole(machine: Machine, store: SqliteStore) -> None:
    """Shares and rates are of all the time since the machine was noted before, whoever read it in between."""
    clock = Clock()
    history = history_of(machine, store, clock)
    history.note()
    machine.spend(5, user=10.0, idle=10.0)
    machine.sampler.sample()
    machine.psutil.disks["sda"] = disk(2000)
    machine.psutil.interfaces["eth0"] = Interface(2000, 4000)
    machine.spend(5, idle=20.0)
    clock.advance(timedelta(seconds=10))
    history.note()
    series = history.series(SeriesWindow("1m"), None, "previous")
    assert (series.step_seconds, series.partial, series.groups) == (10, (11,), ())
    assert [each.second for each in series.start] == [0, 10, 20, 30, 40, 50] * 2
    told = {
        "cpu_percent": [None, 25.0], "load_average_1m": [0.5, 0.5], "memory_percent": [25.0, 25.0],
        "memory_used_bytes": [2.0 * GIB] * 2, "swap_percent": [25.0, 25.0], "disk_percent": [44.444, 44.444],
        "disk_read_bytes_per_second": [None, 51_200.0], "disk_write_bytes_per_second": [None, 102_400.0],
        "network_sent_bytes_per_second": [None, 100.0], "network_received_bytes_per_second": [None, 200.0],
    }  # fmt: skip
    assert tuple(told) == READINGS
    assert {name: known(series.columns[name])[6:8] for name in READINGS} == told
    assert series.columns.keys() == {*READINGS, *(f"{name}_max" for name in READINGS)}
    assert series.columns["disk_percent_max"][6] == pytest.approx(100 * 40 / 90)
    assert {tuple(known(column)[8:]) for column in series.columns.values()} == {(None,) * 4}
    assert series.previous is not None
    assert {number for column in series.previous.columns.values() for number in known(column)} == {None}


def test_a_pause_is_no_interval(machine: Machine, store: SqliteStore) -> None:
    """After a minute without a note (another process had the lease) the rates are those of the sampler's own time."""
    clock = Clock()
    history = history_of(machine, store, clock)
    history.note()
    machine.spend(600, user=2400.0)
    machine.sampler.sample()
    machine.spend(5, idle=20.0)
    clock.advance(timedelta(seconds=605))
    history.note()
    (share,) = [
        n for n in known(history.series(SeriesWindow("1m"), "1m", None).columns["cpu_percent"]) if n is not None
    ]
    assert share == 0.0


def test_a_machine_that_does_not_answer_is_noted_once(machine: Machine, store: SqliteStore) -> None:
    """Nothing is noted before the first reading, and the same reading not twice."""
    clock, snapshot = Clock(), machine.sampler.sample()
    answers = iter((NEVER_READ, snapshot, snapshot))
    history = MachineHistory(lambda: next(answers), store, clock, "UTC")
    for _ in range(3):
        history.note()
    with store._database.read() as connection:
        (cell,) = connection.execute("SELECT readings FROM machine_cell WHERE seconds = 10").fetchone()
    assert cell.startswith(b'{"disk_percent":[1,')


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"step": "2m"}, "step must be one of 10s, 1m, 5m, 15m, 1h, 6h, 1d, 1w, not '2m'"),
        ({"window": "5h", "step": "10s"}, "step='10s' would make over 1,500 points"),
        ({"compare": "next"}, "compare must be 'previous', not 'next'"),
    ],
)
def test_what_is_no_question_is_refused(capture: Capture, asked: dict[str, Any], message: str) -> None:
    """The message names the argument, its rule and the value."""
    with pytest.raises(ValueError, match=message):
        capture.infrastructure.get_machine_series(**asked)


def test_without_a_store_nothing_is_kept(machine: Machine) -> None:
    """Noting is no fault; asking says what is missing."""
    history = history_of(machine, None, Clock())
    history.note()
    with pytest.raises(NoStore, match="get_machine_series"):
        history.series(SeriesWindow(), None, None)


def test_the_background_notes_the_machine() -> None:
    """Where there is a store, one of the jobs does; the default is a day in steps of five minutes."""
    with Capture(settings=Settings(store=":memory:")) as capture:
        capture.runtime.sampler.sample()  # a first reading may take longer than the job waits for it
        job = next(job for job in capture.runtime._jobs() if job.name == "machine")
        job.run()
        series = capture.infrastructure.get_machine_series()
    assert (series.step_seconds, len(series.start), series.start[-1]) == (300, 289, START)
    assert series.columns["memory_percent"][-1] > 0.0
