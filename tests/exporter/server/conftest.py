"""Each test of the server by the event loop that `serve` prefers, and by the standard one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from tests.exporter.server import serving_limited


@pytest.fixture(autouse=True, params=["asyncio", "uvloop"])
def _loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {
        "asyncio": None,
        "uvloop": uvloop.new_event_loop,
    }
    monkeypatch.setattr(serving_limited, "LOOP", loops[request.param])
