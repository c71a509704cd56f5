"""The definitions as data: what they say of events and sessions, how they are kept and compared."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from otel_measure.definitions.parameters import RULES, SETTABLE, ChangedDefinition, Definitions

DEFAULT = Definitions()
OTHER: dict[str, Any] = {
    "timezone": "Asia/Tokyo", "session_gap_s": 600, "client_session_gap_s": 3600, "engaged_s": 15, "engaged_views": 3,
    "view_event_types": frozenset({"page_view", "screen"}), "key_event_types": frozenset({"login"}),
    "passive_event_types": frozenset({"heartbeat"}), "experiment_event_types": frozenset({"purchase"}),
    "drift_reference_records": 500, "drift_window_records": 100, "drift_window_hours": 6, "rules": RULES + 1,
}  # fmt: skip


def test_the_digest_is_that_of_the_canonical_json() -> None:
    """Names and sets are sorted, so that what is equal is equal in every process and version."""
    assert DEFAULT.to_json() == (
        '{"client_session_gap_s":86400,"drift_reference_records":1000,"drift_window_hours":24,"drift_window_records":1000,'
        '"engaged_s":10,"engaged_views":2,"experiment_event_types":["conversion"],'
        '"key_event_types":["conversion","form_submit","purchase","signup"],'
        '"passive_event_types":["feature_flag.evaluation","session.end","session.start"],"rules":2,'
        '"session_gap_s":1800,"timezone":"UTC","view_event_types":["page_view"]}'
    )
    assert DEFAULT.digest == "141daea71da5a7919cd9705379933315cbddfb04ec49c1d418a3ed3c11d431e8"


@pytest.mark.parametrize("field", [field.name for field in fields(Definitions)])
def test_every_field_is_kept_and_counts(field: str) -> None:
    """A field that differs changes the digest, survives the way to JSON and back, and is named as a difference."""
    other = replace(DEFAULT, **{field: OTHER[field]})
    assert other.digest != DEFAULT.digest
    assert Definitions.from_json(other.to_json()) == other
    assert other.differences(DEFAULT) == (ChangedDefinition(field, getattr(DEFAULT, field), OTHER[field]),)


def test_fields_of_a_newer_version_are_left_out() -> None:
    """What an older process cannot know does not keep it from knowing the rest."""
    assert Definitions.from_json('{"engaged_s":15,"of_tomorrow":[1],"rules":7}') == Definitions(engaged_s=15, rules=7)


@pytest.mark.parametrize(("field", "is_refused"), [(name, name in SETTABLE) for name in OTHER if name != "rules"])
def test_another_version_brings_what_nobody_can_set(field: str, is_refused: bool) -> None:
    """Of one version every difference is refused; of another one only what the settings say."""
    for rules, expected in ((RULES, True), (RULES + 1, is_refused)):
        wanted = replace(DEFAULT, rules=rules, **{field: OTHER[field]})
        assert [one.field for one in wanted.refused(DEFAULT)] == ([field] if expected else [])


def test_what_is_activity() -> None:
    """Everything but what happens without the user, a type that nobody knows included."""
    types = ("page_view", "session.start", "session.end", "feature_flag.evaluation", "of_tomorrow")
    assert [DEFAULT.is_activity(event_type) for event_type in types] == [True, False, False, False, True]


def test_goals_are_reached_by_type_or_name() -> None:
    """A key event counts under its type, and under its name when that is one of the types."""
    assert DEFAULT.goals_of("purchase", "signup") == {"purchase", "signup"}
    assert DEFAULT.goals_of("click", "button") == frozenset()


@pytest.mark.parametrize(
    ("duration_us", "views", "key_events", "engaged"),
    [(9_999_999, 1, 0, False), (10_000_000, 1, 0, True), (0, 2, 0, True), (0, 1, 1, True), (0, 0, 0, False)],
)
def test_engaged(duration_us: int, views: int, key_events: int, engaged: bool) -> None:
    """Ten seconds, two views or one key event engage a session."""
    assert DEFAULT.is_engaged(duration_us, views, key_events) is engaged
