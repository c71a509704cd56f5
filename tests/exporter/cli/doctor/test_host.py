"""Checks of the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cli.doctor import host
from exporter.cli.ports import Holder
from otel_measure.store.types.findings import Finding
from tests.exporter.cli.doctor.good_surroundings import around

WALL = 1_780_000_000.0


def times(*values: float) -> Callable[[], float]:
    """Return a clock that reads these values one after the other."""
    readings = iter(values)
    return lambda: next(readings)


def test_a_port_that_is_taken(port: int) -> None:
    """A port of somebody else is wrong; a port of ours is what one hopes for."""
    other = host.port(around(port=port, holder=lambda n: Holder(7, "nginx")))
    ours = host.port(around(port=port, holder=lambda n: Holder(8, "python otel-measure serve")))
    way_out = "stop it, or take another with --port (0 takes a free one)"
    assert other == Finding("wrong", f"port {port} on 127.0.0.1 is taken by pid 7 (nginx)", way_out)
    assert ours == Finding("ok", f"127.0.0.1 port {port}: otel-measure is serving, pid 8 (python otel-measure serve)")


def test_the_port_of_grpc(port: int) -> None:
    """It is looked at where gRPC is installed; where it is not, the finding says how it would be."""
    missing = host.grpc_port(around(has_grpc=lambda: False))
    taken = host.grpc_port(around(grpc_port=port, has_grpc=lambda: True, holder=lambda n: Holder(7, "otelcol")))
    assert missing == Finding("ok", "OTLP over gRPC is not installed: pip install 'otel-measure[grpc]'")
    way_out = "stop it, or take another with --grpc-port (0 takes a free one)"
    assert taken == Finding("wrong", f"port {port} on 127.0.0.1 is taken by pid 7 (otelcol)", way_out)


@pytest.mark.parametrize(
    ("wall", "monotonic", "expected"),
    [
        ((WALL, WALL + 0.05), (5.0, 5.05), Finding("ok", "2026-05-28T20:26:40Z, runs evenly")),
        (
            (WALL, WALL + 3600.05),
            (5.0, 5.05),
            Finding("warning", "the clock just moved by +3600.00 s", "let the NTP client settle, look again"),
        ),
        (
            (0.0, 0.05),
            (5.0, 5.05),
            Finding("wrong", "the clock says 1970-01-01T00:00:00Z", "set the clock; run an NTP client"),
        ),
    ],
)
def test_the_clock(wall: tuple[float, ...], monotonic: tuple[float, ...], expected: Finding) -> None:
    """A clock that is stepped, or stands at the epoch, is found by comparing it with the monotonic one."""
    assert host.clock(around(wall_s=times(*wall), monotonic_s=times(*monotonic))) == expected


def test_a_clock_behind_the_store(store: Path) -> None:
    """A store written in the future means that the clock went back."""
    finding = host.clock(around(store, wall_s=lambda: 1_750_000_000.0))
    assert (finding.verdict, finding.way_out) == ("wrong", "the clock went back: set it; run an NTP client")


def test_time_zone_data_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rules of the zone the way out is the package that has them."""
    surroundings = around()

    def absent(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(host, "ZoneInfo", absent)
    assert host.time_zone_data(surroundings) == Finding("wrong", "no data for UTC", "install it: pip install tzdata")
