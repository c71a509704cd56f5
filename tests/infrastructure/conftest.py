"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.testing import Capture
from tests.infrastructure.fakes import Machine
from tests.infrastructure.worlds import World


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fake machine in a temporary folder."""
    return Machine(tmp_path)


@pytest.fixture
def capture() -> Iterator[Capture]:
    """A runtime whose clock tests set."""
    with Capture() as made:
        yield made


@pytest.fixture
def infra(capture: Capture) -> InfrastructureService:
    """Its infrastructure service."""
    return capture.infrastructure


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service registered at noon, and a process that watches it."""
    made = World(tmp_path / "m.db")
    made.ledger.register("api", 99.0)
    yield made
    assert made.store is not None
    made.store.close()
