from __future__ import annotations

import sqlite3
from contextlib import closing
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.conventions.labels import escaped
from otel_measure.definitions.days import moment
from otel_measure.infrastructure.hosts import Host, Hosts, RemoteProcess, hosts
from otel_measure.store.types.streams import HostReading
from otel_measure.testing import Capture
from tests.facts import NOON

_30: Any = pytest.approx(30.0)
_20: Any = pytest.approx(20.0)


def reading(name: str, value: float, before: float | None = None, instance: str = "h", **labels: str) -> HostReading:
    """Return a reading of host h, with further labels."""
    given = {key.replace("__", "."): text for key, text in labels.items()}
    return HostReading(name, escaped({"host.name": instance, **given}.items()), instance, NOON, value, before)


def host(*readings: HostReading) -> Host:
    """Return what readings say of the one host."""
    (found,) = hosts(readings).hosts
    return found


def test_nobody_sends() -> None:
    """No hosts, no processes."""
    assert hosts([]) == Hosts((), (), "")


def test_a_host_of_todays_convention() -> None:
    """CPU from its shares, memory by state, the fullest filesystem, the load of one minute."""
    found = host(
        reading("system.cpu.utilization", 0.7, cpu__mode="idle"),
        reading("system.cpu.utilization", 0.3, cpu__mode="user"),
        reading("system.memory.usage", 300.0, system__memory__state="used"),
        reading("system.memory.usage", 700.0, system__memory__state="free"),
        reading("system.filesystem.utilization", 0.5, system__filesystem__mountpoint="/"),
        reading("system.filesystem.utilization", 0.9, system__filesystem__mountpoint="/data"),
        reading("otel_measure.system.load_average", 1.5, otel_measure__load_average__period="1m"),
        reading("otel_measure.system.load_average", 9.0, otel_measure__load_average__period="5m"),
    )
    assert found == Host("h", "host", _30, 300.0, 30.0, 90.0, 1.5, moment(NOON))


def test_a_host_of_the_collectors_host_metrics() -> None:
    """CPU from what its times grew by over all cores; the older names of attributes."""
    found = host(
        reading("system.cpu.time", 100.0, 40.0, cpu="0", state="idle"),
        reading("system.cpu.time", 80.0, 40.0, cpu="1", state="idle"),
        reading("system.cpu.time", 50.0, 25.0, cpu="0", state="user"),
        reading("system.cpu.time", 50.0, None, cpu="1", state="user"),
        reading("system.memory.usage", 250.0, state="used"),
        reading("system.memory.usage", 750.0, state="cached"),
        reading("system.filesystem.usage", 10.0, mountpoint="/", state="used"),
        reading("system.filesystem.usage", 30.0, mountpoint="/", state="free"),
        reading("system.cpu.load_average.1m", 2.5),
    )
    assert found == Host("h", "host", _20, 250.0, 25.0, 25.0, 2.5, moment(NOON))


def test_what_cannot_be_told_is_unknown() -> None:
    """And never 0."""
    found = host(reading("system.network.io", 5.0, direction="receive"), reading("system.cpu.time", 5.0, state="idle"))
    unknown = (
        found.cpu_used_percent,
        found.memory_used_bytes,
        found.memory_used_percent,
        found.disk_used_percent,
        found.load_average_1m,
    )
    assert all(isnan(value) for value in unknown)
    assert isnan(host(reading("system.cpu.utilization", 0.3, state="user")).cpu_used_percent)
    assert isnan(host(reading("system.filesystem.usage", 0.0, state="used")).disk_used_percent)
    assert host(reading("system.memory.utilization", 0.25, state="used")).memory_used_percent == 25.0
    assert host(reading("system.cpu.utilization", 0.3)).cpu_used_percent == 30.0


def test_a_container_and_a_process() -> None:
    """Beside their host; a process is one of a service."""
    process = escaped({"service.name": "shop", "service.instance.id": "i"}.items())
    found = hosts(
        [
            reading("container.memory.usage", 5e6, instance="c1"),
            reading("system.memory.usage", 1.0, system__memory__state="used"),
            HostReading("process.memory.usage", process, "i", NOON, 7e6),
            HostReading("process.cpu.utilization", process, "i", NOON, 0.25),
        ]
    )
    assert [(one.host, one.kind, one.memory_used_bytes) for one in found.hosts] == [
        ("c1", "container", 5e6),
        ("h", "host", 1.0),
    ]
    (one,) = found.processes
    assert (one.service_name, one.instance, one.cpu_used_percent, one.memory_rss_bytes) == ("shop", "i", 25.0, 7e6)
    assert isnan(one.threads)
    assert isinstance(one, RemoteProcess)
    assert len(found.hosts) == 2


def test_a_collector_counts_as_free_and_df_do() -> None:
    """What is reserved is no part of a filesystem for `df`; slabs are within other states for `free`. As captured."""
    found = host(
        *(
            reading("system.filesystem.usage", value, state=state, mountpoint="/", type="ext4")
            for state, value in (("used", 26473017344.0), ("free", 71320276992.0), ("reserved", 172759879680.0))
        ),
        *(
            reading("system.memory.usage", value, state=state)
            for state, value in (
                ("used", 2239881216.0), ("free", 7110787072.0), ("buffered", 700293120.0),
                ("cached", 15828717568.0), ("slab_reclaimable", 1364066304.0), ("slab_unreclaimable", 107655168.0),
            )
        ),
    )  # fmt: skip
    assert found.disk_used_percent == pytest.approx(100 * 26473017344 / (26473017344 + 71320276992))
    assert found.memory_used_percent == pytest.approx(100 * 2239881216 / 25879678976)
    assert found.memory_used_bytes == 2239881216.0


def test_two_readers_of_one_host_are_not_added() -> None:
    """A Collector on the host that we read ourselves says the same again, under other names of attributes."""
    found = host(
        reading("system.memory.usage", 300.0, system__memory__state="used"),
        reading("system.memory.usage", 700.0, system__memory__state="free"),
        reading("system.memory.usage", 310.0, state="used"),
        reading("system.memory.usage", 690.0, state="free"),
    )
    assert (found.memory_used_bytes, found.memory_used_percent) == (300.0, 30.0)


def test_shares_of_a_filesystem_by_state() -> None:
    """Where a share is said of each state, the free one is none that is used."""
    found = host(
        reading("system.filesystem.utilization", 0.2, mountpoint="/", state="used"),
        reading("system.filesystem.utilization", 0.6, mountpoint="/", state="free"),
        reading("system.filesystem.utilization", 0.2, mountpoint="/", state="reserved"),
    )
    assert found.disk_used_percent == pytest.approx(25.0)


def test_a_machine_without_a_name_is_shown_under_what_is_known() -> None:
    """By service and instance, with a line that says how it gets its name; processes have those of their programs."""
    own = {"service__name": "unknown_service", "service__instance__id": "a1"}
    unnamed = hosts([HostReading("system.cpu.load_average.1m", _labels(own), "a1", NOON, 5.0)])
    assert [(each.host, each.kind, each.load_average_1m) for each in unnamed.hosts] == [
        ("unknown_service/a1", "host", 5.0)
    ]
    assert unnamed.missing == (
        "1 sent readings of a machine without host.name and are shown under service and instance: add the processor"
        " resourcedetection (detectors: [env, system]) to the Collector that reads them"
    )
    program = own | {"process__executable__name": "postgres"}
    seen = hosts([
        HostReading("process.cpu.utilization", _labels(program | {"state": "user"}), "a1", NOON, 0.25),
        HostReading("process.cpu.utilization", _labels(program | {"state": "system"}), "a1", NOON, 0.05),
    ])  # fmt: skip
    assert [(each.name, each.cpu_used_percent) for each in seen.processes] == [("postgres", _30)]


def _labels(given: dict[str, str]) -> str:
    return escaped({key.replace("__", "."): text for key, text in given.items()}.items())


def test_hosts_are_told_while_another_process_writes(tmp_path: Path) -> None:
    """What is known is the answer, whether or not the newest readings can be stored first."""
    store = tmp_path / "measure.db"
    with Capture(settings=Settings(store=str(store))) as capture:
        capture.runtime.sampler.sample()
        (known,) = capture.infrastructure.list_hosts().hosts
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            (told,) = capture.infrastructure.list_hosts().hosts
    assert told.host == known.host
