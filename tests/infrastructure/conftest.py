"""What the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.testing import Capture
from tests.infrastructure.fakes import Machine


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
