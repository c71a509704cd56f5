"""Checks of the machine: its port, its clock, its time zones."""

from __future__ import annotations

import time
from typing import Final
from zoneinfo import ZoneInfo

from exporter.cli import otlp_grpc
from exporter.cli.doctor.surroundings import Surroundings
from exporter.cli.ports import CannotListen, described, listen
from otel_measure.store.types.findings import Finding, ok, warning, wrong

_OLDEST_PLAUSIBLE_S: Final = 1_735_689_600  # 2025-01-01: before this software existed
_CLOCK_WAIT_S: Final = 0.05
_CLOCK_TOLERANCE_S: Final = 0.05


def port(s: Surroundings) -> Finding:
    """Whether `serve` could listen, or already does."""
    return _listens(s, s.settings.port, "--port")


def grpc_port(s: Surroundings) -> Finding:
    """Whether `serve` could take OTLP over gRPC, or already does."""
    if not s.has_grpc():
        return ok(f"OTLP over gRPC is not installed: {otlp_grpc.INSTALL}")
    return _listens(s, otlp_grpc.wanted_port(s.settings), "--grpc-port")


def _listens(s: Surroundings, number: int, option: str) -> Finding:
    host = s.settings.host
    try:
        listen(host, number, s.holder, option).close()
    except CannotListen as error:
        holder = s.holder(number)
        if holder is not None and "otel-measure" in holder.command:
            return ok(f"{host} port {number}: otel-measure is serving, {described(holder)}")
        what, _, way_out = str(error).partition("; ")
        return wrong(what, way_out)
    return ok(f"{host} port {number} is free")


def clock(s: Surroundings) -> Finding:
    """Whether the wall clock is plausible, runs evenly, and did not go back behind what was written."""
    wall, monotonic = s.wall_s(), s.monotonic_s()
    s.sleep(_CLOCK_WAIT_S)
    step = (s.wall_s() - wall) - (s.monotonic_s() - monotonic)
    if wall < _OLDEST_PLAUSIBLE_S:
        return wrong(f"the clock says {_utc(wall)}", "set the clock; run an NTP client")
    if abs(step) > _CLOCK_TOLERANCE_S:
        return warning(f"the clock just moved by {step:+.2f} s", "let the NTP client settle, look again")
    written = s.store_file.stat().st_mtime if s.store_file else wall
    if written > wall + 300:
        return wrong(
            f"the store was written at {_utc(written)}, and the clock says {_utc(wall)}",
            "the clock went back: set it; run an NTP client",
        )
    return ok(f"{_utc(wall)}, runs evenly")


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def time_zone_data(s: Surroundings) -> Finding:
    """Whether Python knows the rules of the time zone."""
    name = s.settings.timezone
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return wrong(f"no data for {name}", "install it: pip install tzdata")
    return ok(f"{name} is known")
