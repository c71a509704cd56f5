from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from exporter.running import Running
from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime


def test_nothing_starts_before_it_is_needed(runtime: Runtime) -> None:
    """Making a `Running` opens nothing; the first to ask starts the runtime and the next get the same."""
    opened = []

    def open_runtime() -> Runtime:
        opened.append(1)
        return runtime

    running = Running(open_runtime)
    running.flush()
    assert opened == []

    async def ask() -> None:
        first, second = await asyncio.gather(running.live(), running.live())
        assert first is second is await running.live()
        assert first.runtime is runtime

    asyncio.run(ask())
    assert opened == [1]


def test_each_process_starts_its_own(runtime: Runtime) -> None:
    """After a fork the child asks for its runtime anew, and does not flush what the parent had."""
    pid = 1
    running = Running(lambda: runtime, pid=lambda: pid)
    parent = asyncio.run(running.live())
    pid = 2
    running.flush()
    child = asyncio.run(running.live())
    assert (parent.pid, child.pid) == (1, 2)
    assert child.commits is not parent.commits


def test_a_start_that_failed_is_tried_again(runtime: Runtime) -> None:
    """A store that cannot be opened now may be opened by the next request."""
    faults = [StoreUnavailable("locked", "it is locked", "wait")]

    def open_runtime() -> Runtime:
        if faults:
            raise faults.pop()
        return runtime

    running = Running(open_runtime)
    with pytest.raises(StoreUnavailable):
        asyncio.run(running.live())
    assert asyncio.run(running.live()).runtime is runtime


@pytest.mark.parametrize("durability", ["process", "power"])
def test_durability(tmp_path: Path, durability: str) -> None:
    """Single writes are as durable as the settings say."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db"), durability=durability))  # type: ignore[arg-type]
    commits: list[bool] = []

    class Spy:
        def commit(self, records: object, *, durable: bool = False) -> list[object]:
            commits.append(durable)
            return []

    real, runtime.recorder = runtime.recorder, Spy()  # type: ignore[assignment]
    asyncio.run(Running(lambda: runtime).live()).commits.commit_now([])
    runtime.recorder = real
    runtime.shutdown()
    assert commits == [durability == "power"]
