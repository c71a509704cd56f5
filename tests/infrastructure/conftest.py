"""What the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infrastructure.fakes import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A fake machine in a temporary folder."""
    return Machine(tmp_path)
