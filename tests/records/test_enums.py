from __future__ import annotations

from enum import Enum

import pytest

from otel_measure.records.enums import DriftStatus, EventType, HealthStatus, ModelType, UserSegment
from otel_measure.records.events import USER_EVENT_TYPES


@pytest.mark.parametrize(
    ("enum", "values"),
    [
        (
            ModelType,
            "classification regression nlp_generation nlp_translation image_generation embeddings other",
        ),
        (
            EventType,
            "page_view click form_submit conversion purchase signup login logout feature_use error custom",
        ),
        (DriftStatus, "no_drift minor_drift moderate_drift severe_drift"),
        (HealthStatus, "healthy degraded critical"),
        (UserSegment, "new active power at_risk churned resurrected"),
    ],
)
def test_members_are_their_values_in_capitals(enum: type[Enum], values: str) -> None:
    """The lists of the contract, in its order."""
    assert [(member.name, member.value) for member in enum] == [(v.upper(), v) for v in values.split()]


def test_every_event_type_has_an_event_name() -> None:
    """What `track_event` takes, the event form can carry."""
    assert {member.value for member in EventType} <= USER_EVENT_TYPES
