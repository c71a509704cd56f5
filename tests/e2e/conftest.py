"""End-to-end tests run programs as their users do: at their own speed, without being traced for coverage."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes that nobody traces; the tests of modules reach what these run."""
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)
