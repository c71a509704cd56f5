"""Which environment an answer is about."""

from __future__ import annotations

import pytest

from otel_measure.definitions.environments import environment_asked


@pytest.mark.parametrize(
    ("asked", "seen", "expected"),
    [
        (None, [], ""),
        ("staging", [], "staging"),
        ("", ["production"], ""),
        (None, ["staging", "", "production"], "production"),
        (None, ["staging", "", "test"], ""),
        (None, ["staging", "test"], "staging"),
    ],
)
def test_environment_asked(asked: str | None, seen: list[str], expected: str) -> None:
    """What is asked for wins; production, the unnamed and the first one seen follow."""
    assert environment_asked(asked, seen) == expected
