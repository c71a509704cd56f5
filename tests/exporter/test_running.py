from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from exporter.running import RuntimeOnDemand
from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime


def test_nothing_starts_before_it_is_needed(runtime: Runtime) -> None:
    """Making one opens nothing; the first to ask starts the runtime and the next get the same."""
    opened = []

    def open_runtime() -> Runtime:
        opened.append(1)
        return runtime

    on_demand = RuntimeOnDemand(open_runtime)
    on_demand.flush()
    assert opened == []

    async def ask() -> None:
        first, second = await asyncio.gather(on_demand.backend(), on_demand.backend())
        assert first is second is await on_demand.backend()
        assert first.runtime is runtime

    asyncio.run(ask())
    assert opened == [1]


def test_each_process_starts_its_own(runtime: Runtime) -> None:
    """After a fork the child asks for its runtime anew, and does not flush what the parent had."""
    pid = 1
    on_demand = RuntimeOnDemand(lambda: runtime, pid=lambda: pid)
    parent = asyncio.run(on_demand.backend())
    pid = 2
    on_demand.flush()
    child = asyncio.run(on_demand.backend())
    assert child.commits is not parent.commits


def test_a_start_that_failed_is_tried_again(runtime: Runtime) -> None:
    """A store that cannot be opened now may be opened by the next request."""
    faults = [StoreUnavailable("locked", "it is locked", "wait")]

    def open_runtime() -> Runtime:
        if faults:
            raise faults.pop()
        return runtime

    on_demand = RuntimeOnDemand(open_runtime)
    with pytest.raises(StoreUnavailable):
        asyncio.run(on_demand.backend())
    assert asyncio.run(on_demand.backend()).runtime is runtime


@pytest.mark.parametrize("durability", ["process", "power"])
def test_durability(tmp_path: Path, durability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single writes are as durable as the settings say."""
    runtime = Runtime(Settings(store=str(tmp_path / "m.db"), durability=durability))  # type: ignore[arg-type]
    commits: list[bool] = []

    def commit(records: object, *, durable: bool = False) -> list[object]:
        commits.append(durable)
        return []

    with monkeypatch.context() as patch:
        patch.setattr(runtime.recorder, "commit", commit)
        asyncio.run(RuntimeOnDemand(lambda: runtime).backend()).commits.commit_now([])
    runtime.shutdown()
    assert commits == [durability == "power"]
