from __future__ import annotations

import asyncio
import time

from starlette.testclient import TestClient

from exporter.lag import LoopLag


def test_a_blocked_loop_is_late_once() -> None:
    """What blocks the loop shows as its lateness, already while it blocks."""

    async def measure() -> None:
        lag = LoopLag(asyncio.get_running_loop(), interval_s=0.01)
        time.sleep(0.3)
        blocked = lag.read_s()
        assert blocked is not None
        assert 0.25 <= blocked < 5
        await asyncio.sleep(0.05)
        calm = lag.read_s()
        assert calm is not None
        assert calm >= 0.25  # the wake-up that was due meanwhile came as late
        async with asyncio.timeout(60):  # the machine may keep it waiting as well
            while (lag.read_s() or 0) >= blocked:
                await asyncio.sleep(0.05)

    asyncio.run(measure())


def test_a_loop_that_runs_no_more_is_not_late() -> None:
    """Of a loop that has ended nothing is known."""

    async def make() -> LoopLag:
        return LoopLag(asyncio.get_running_loop())

    assert asyncio.run(make()).read_s() is None


def test_the_exposition_shows_the_lateness(client: TestClient) -> None:
    """The server's own event loop is a gauge in seconds."""
    lines = client.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith("otel_measure_process_event_loop_lag_seconds{")]
    assert float(line.rsplit(" ", 1)[1]) >= 0
