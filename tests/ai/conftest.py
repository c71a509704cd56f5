"""Runtimes of their own, and calls whose clock moves when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from otel_measure.ai.instrument import ModelCall
from otel_measure.ai.service import AiModelService
from otel_measure.config import Settings
from otel_measure.testing import Capture
from tests.ai.measuring import FakeMeasuring


@pytest.fixture
def measuring() -> FakeMeasuring:
    """What calls are recorded by."""
    return FakeMeasuring()


@pytest.fixture
def call(measuring: FakeMeasuring) -> Callable[[], ModelCall]:
    """Make calls whose clock moves on by 10 ms whenever it is read."""
    ticks = count(0.0, 0.01)
    return lambda: ModelCall(measuring, lambda: next(ticks), "m", "1", {"user_id": 7})


@pytest.fixture
def measured() -> Iterator[Capture]:
    """A runtime on an empty store in memory, whose clock stands."""
    with Capture() as capture:
        yield capture


@pytest.fixture
def storeless() -> Iterator[AiModelService]:
    """The service of a runtime without a store."""
    with Capture(replace(Settings(), store=None)) as capture:
        yield capture.ai
