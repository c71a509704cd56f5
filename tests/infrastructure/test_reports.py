"""Reports and the summary: whole results from two readings of a machine."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from math import nan
from types import SimpleNamespace

import pytest

from otel_measure.definitions.verdicts import host_status
from otel_measure.infrastructure import reports
from otel_measure.infrastructure.mounts import Space
from otel_measure.infrastructure.readings import NEVER_READ, Filesystem, MachineSnapshot
from otel_measure.infrastructure.reports import Cpu, Disk, Memory, Network
from otel_measure.infrastructure.summary import Summary, summary
from tests.infrastructure.fakes import GIB, Interface, Machine, disk

WHEN = datetime(2023, 11, 14, 22, 13, 22, tzinfo=UTC)
HOST_CPU = Cpu(
    usage_percent=70.0,
    user_percent=50.0,
    system_percent=15.0,
    idle_percent=25.0,
    iowait_percent=5.0,
    load_average_1m=0.5,
    load_average_5m=1.5,
    load_average_15m=2.5,
    core_count=4,
    scope="host",
    timestamp=WHEN,
)
HOST_MEMORY = Memory(
    total_bytes=8 * GIB,
    available_bytes=6 * GIB,
    used_bytes=2 * GIB,
    used_percent=25.0,
    swap_total_bytes=4 * GIB,
    swap_used_bytes=GIB,
    swap_percent=25.0,
    scope="host",
    timestamp=WHEN,
)
ROOT = Disk(
    mount_point="/",
    total_bytes=100 * GIB,
    used_bytes=40 * GIB,
    free_bytes=50 * GIB,
    used_percent=100 * 40 / 90,
    read_bytes_per_second=5120.0,
    write_bytes_per_second=10240.0,
    read_iops=10.0,
    write_iops=20.0,
    timestamp=WHEN,
)
NETWORK = Network(
    sent_bytes_per_second=500.0,
    received_bytes_per_second=1000.0,
    packets_sent_per_second=5.0,
    packets_received_per_second=10.0,
    errors_in=1,
    errors_out=2,
    drops_in=3,
    drops_out=4,
    connections=4,
    timestamp=WHEN,
)


def two_readings(machine: Machine) -> MachineSnapshot:
    """Two seconds in which every rate is a round number."""
    machine.sampler.sample()
    machine.spend(2, user=3.2, nice=0.8, system=0.8, softirq=0.4, idle=2.0, iowait=0.4, steal=0.4)
    machine.psutil.disks |= {"sda1": disk(120), "sda": disk(9000)}
    machine.psutil.interfaces["eth0"] = Interface(2000, 4000, 20, 40, 1, 2, 3, 4)
    return machine.sampler.sample()


def rounded(report: Cpu | Memory | Disk | Network) -> dict[str, object]:
    """The fields of a report, floats to nine digits."""
    fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    return {name: round(value, 9) if isinstance(value, float) else value for name, value in fields.items()}


def test_reports_hold_every_figure(machine: Machine) -> None:
    """CPU, memory, disk and network follow from two readings, field by field."""
    snapshot = two_readings(machine)
    assert rounded(reports.cpu(snapshot)) == rounded(HOST_CPU)
    assert rounded(reports.memory(snapshot)) == rounded(HOST_MEMORY)
    assert rounded(reports.disk(snapshot)) == rounded(ROOT)
    assert rounded(reports.network(snapshot)) == rounded(NETWORK)


def test_container_reports_its_share_and_the_host_beside_it(machine: Machine) -> None:
    """In a container the quota and the limit are the denominators, and ``host`` is what the host would report."""
    machine.limit(cores=2, memory_bytes=GIB, used_s=10.0, working_set_bytes=GIB // 4)
    machine.sampler.sample()
    machine.spend(2, user=4, idle=4)
    machine.limit(cores=2, memory_bytes=GIB, used_s=12.0, working_set_bytes=GIB // 4)
    snapshot = machine.sampler.sample()
    host = dataclasses.replace(
        HOST_CPU, usage_percent=50.0, user_percent=50.0, system_percent=0.0, idle_percent=50.0, iowait_percent=0.0
    )
    assert repr(reports.cpu(snapshot)) == repr(
        dataclasses.replace(
            HOST_CPU,
            usage_percent=50.0,
            user_percent=37.5,
            system_percent=12.5,
            idle_percent=50.0,
            iowait_percent=nan,
            core_count=2,
            scope="container",
            host=host,
        )
    )
    assert reports.memory(snapshot) == Memory(
        total_bytes=GIB,
        available_bytes=GIB * 3 // 4,
        used_bytes=GIB // 4,
        used_percent=25.0,
        swap_total_bytes=2000,
        swap_used_bytes=500,
        swap_percent=25.0,
        scope="container",
        timestamp=WHEN,
        host=HOST_MEMORY,
    )


def test_first_reading_knows_levels_and_no_rates(machine: Machine) -> None:
    """Before a second reading rates are unknown and levels are not."""
    snapshot = machine.sampler.sample()
    assert repr(rounded(reports.disk(snapshot))) == repr(
        rounded(
            dataclasses.replace(
                ROOT,
                read_bytes_per_second=nan,
                write_bytes_per_second=nan,
                read_iops=nan,
                write_iops=nan,
                timestamp=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
            )
        )
    )


def test_counters_that_went_back_have_no_rate(machine: Machine) -> None:
    """A device that came up anew is unknown for one interval, not negative."""
    machine.sampler.sample()
    machine.spend(2, idle=8)
    machine.psutil.disks["sda1"] = disk(1)
    machine.psutil.interfaces["eth0"] = Interface(1, 1, 1, 1)
    snapshot = machine.sampler.sample()
    assert repr(reports.disk(snapshot).read_iops) == "nan"
    assert repr(reports.network(snapshot).sent_bytes_per_second) == "nan"


def test_interface_that_came_up_in_between_is_no_traffic(machine: Machine) -> None:
    """What a new interface has counted before we knew it is not growth."""
    machine.sampler.sample()
    machine.spend(2, idle=8)
    machine.psutil.interfaces["eth1"] = Interface(10**9, 10**9, 10**6, 10**6, 7)
    report = reports.network(machine.sampler.sample())
    assert (report.sent_bytes_per_second, report.errors_in) == (0.0, 8)


def test_each_directory_has_the_traffic_of_the_device_that_it_lies_on(machine: Machine) -> None:
    """A directory and a path with a slash at its end belong to the nearest mount above them."""
    machine.psutil.partitions.append(
        SimpleNamespace(device="/dev/sdb1", mountpoint="/data", fstype="ext4", opts="rw,relatime")
    )
    machine.psutil.disks |= {"sdb1": disk(500), "sdb": disk(500)}
    machine.sampler.sample()
    machine.spend(2, idle=8)
    machine.psutil.disks |= {"sda1": disk(120), "sdb1": disk(600)}
    snapshot = machine.sampler.sample()
    iops = {path: reports.disk(snapshot, path).read_iops for path in ("/", "/data", "/data/", "/data/sub", "/database")}
    assert iops == {"/": 10.0, "/data": 50.0, "/data/": 50.0, "/data/sub": 50.0, "/database": 10.0}


def test_mount_without_a_device_of_its_own_shows_all_devices(machine: Machine) -> None:
    """A directory of an overlay or of a network's filesystem has the traffic of the whole disks, counted once."""
    machine.sampler.sample()
    machine.spend(2, idle=8)
    machine.psutil.disks |= {"sda1": disk(120), "sda": disk(1040), "loop0": disk(900)}
    report = reports.disk(machine.sampler.sample(), "/srv", Space(10, 4, 6), lies_on="/srv")
    assert (report.mount_point, report.used_percent, report.read_iops) == ("/srv", 40.0, 20.0)


def test_nothing_read_is_nothing_known() -> None:
    """Every number of a machine that was never read is nan, in every report."""
    for report in (f(NEVER_READ) for f in (reports.cpu, reports.memory, reports.disk, reports.network)):
        numbers = [value for value in rounded(report).values() if isinstance(value, float)]
        assert numbers
        assert all(value != value for value in numbers)
        assert report.timestamp == datetime(1970, 1, 1, tzinfo=UTC)


def test_summary_is_the_machine_at_a_glance(machine: Machine) -> None:
    """The whole dict, with the averages of what was seen and the status of the thresholds."""
    snapshot = two_readings(machine)
    found = summary(snapshot, status_of=host_status, services_down=2, platform="Linux")
    assert found["cpu"].pop("current_percent") == pytest.approx(70.0)  # type: ignore[misc]
    assert found["cpu"].pop("average_percent") == pytest.approx(70.0)  # type: ignore[misc]
    assert found == {
        "status": "healthy",
        "timestamp": "2023-11-14T22:13:22.000000Z",
        "uptime_seconds": 5000.0,
        "services_down": 2,
        "cpu": {"load_average": {"1m": 0.5, "5m": 1.5, "15m": 2.5}, "core_count": 4, "scope": "host"},
        "memory": {
            "total_bytes": 8 * GIB,
            "used_bytes": 2 * GIB,
            "available_bytes": 6 * GIB,
            "used_percent": 25.0,
            "average_percent": 25.0,
            "scope": "host",
        },
        "disk": {
            "mount_point": "/",
            "total_bytes": 100 * GIB,
            "used_bytes": 40 * GIB,
            "free_bytes": 50 * GIB,
            "used_percent": pytest.approx(100 * 40 / 90),
            "average_percent": pytest.approx(100 * 40 / 90),
        },
        "network": {
            "sent_bytes_per_second": 500.0,
            "received_bytes_per_second": 1000.0,
            "packets_sent_per_second": 5.0,
            "packets_received_per_second": 10.0,
            "errors_in": 1,
            "errors_out": 2,
            "drops_in": 3,
            "drops_out": 4,
            "connections": 4,
        },
        "platform": "Linux",
    }


@pytest.mark.parametrize(
    ("seconds", "busy", "available", "status"),
    [
        (300, 4, 6 * GIB, "critical"),
        (10, 4, 6 * GIB, "degraded"),
        (10, 3.4, 6 * GIB, "degraded"),
        (2, 4, 6 * GIB, "healthy"),
        (2, 0, GIB // 2, "degraded"),
        (300, 0, GIB // 2, "critical"),
    ],
)
def test_status_follows_from_averages_over_enough_time(
    machine: Machine, seconds: float, busy: float, available: int, status: str
) -> None:
    """A CPU busy for the blink of our own start is nothing; five busy minutes, or five of full memory, are critical."""
    machine.psutil.memory["available"] = available
    machine.sampler.sample()
    machine.spend(seconds, user=seconds * busy, idle=seconds * (4 - busy))
    assert glance(machine.sampler.sample())["status"] == status


def test_summary_shows_the_fullest_disk(machine: Machine) -> None:
    """The disk of the summary is the one that fills up first."""
    snapshot = machine.sampler.sample()
    full = Filesystem("/data", "/dev/sdb1", "xfs", False, 10 * GIB, 9.5 * GIB, 0.5 * GIB)
    filled = dataclasses.replace(
        snapshot, now=dataclasses.replace(snapshot.now, filesystems=(*snapshot.now.filesystems, full))
    )
    found = glance(filled)
    assert (found["disk"]["mount_point"], found["disk"]["used_percent"], found["status"]) == ("/data", 95.0, "critical")


def test_summary_of_a_machine_never_read_is_degraded() -> None:
    """A host that cannot be read is not called well."""
    found = glance(NEVER_READ)
    assert (found["status"], found["disk"]["mount_point"]) == ("degraded", "/")


def glance(snapshot: MachineSnapshot) -> Summary:
    """The summary, judged by the KPI table."""
    return summary(snapshot, status_of=host_status, services_down=0, platform="Linux")
