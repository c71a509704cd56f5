"""Names of others lead to names of ours."""

from __future__ import annotations

import pytest

from otel_measure.conventions import dialects, instruments, semconv
from otel_measure.conventions.dialects import first_of
from otel_measure.records.enums import EventType


def test_renamed_metrics_lead_to_emitted_ones() -> None:
    """A received name is no name of ours and stands for one."""
    assert set(dialects.RENAMED_METRICS.values()) <= set(instruments.BY_NAME)
    assert set(dialects.RENAMED_METRICS).isdisjoint(instruments.BY_NAME)


def test_foreign_event_types_are_types_of_ours() -> None:
    """Every event of others that is told apart is one of the public types of user events."""
    assert set(dialects.EVENT_TYPES.values()) <= {member.value for member in EventType}


@pytest.mark.parametrize(
    "names", [dialects.ENVIRONMENT, dialects.PROVIDER, dialects.INPUT_TOKENS, dialects.OUTPUT_TOKENS]
)
def test_the_name_that_we_emit_counts_first(names: tuple[str, ...]) -> None:
    """Where several names have one meaning, the one that we emit comes before those that are received only."""
    ours = {value for key, value in vars(semconv).items() if key.startswith("ATTR_")}
    assert names[0] in ours
    assert ours.isdisjoint(names[1:])


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ({"a": 1, "b": 2}, 1),
        ({"b": 2}, 2),
        ({"a": None, "b": 2}, 2),
        ({"a": "", "b": "x"}, "x"),
        ({"a": 0, "b": 2}, 0),
        ({"a": False, "b": 2}, False),
        ({"c": 3}, None),
    ],
)
def test_the_first_name_with_a_value_counts(attributes: dict[str, object], value: object) -> None:
    """The first name that has a value counts; nothing and an empty text are none, 0 and false are values."""
    assert first_of(attributes, ("a", "b")) == value
