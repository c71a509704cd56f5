"""Every test here that takes an `engine` runs for each row of the table."""

from __future__ import annotations

import pytest

from tests.store.conformance.engines import ENGINES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise by value, and not by a fixture: hypothesis runs one test many times."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ENGINES, ids=[engine.name for engine in ENGINES])
