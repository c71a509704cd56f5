"""What decides what the stored roll-ups mean: data, kept in each store beside what was counted by it.

A store that was counted by other definitions than a process has is never added to by that process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from otel_measure.conventions import semconv
from otel_measure.definitions.days import day_finder

RULES: Final = 2
_SECOND_US: Final = 1_000_000
# What the settings may say; everything else changes with the version of the rules alone.
SETTABLE: Final = frozenset({"timezone", "session_gap_s", "drift_window_records", "drift_window_hours"})


class ChangedDefinition(NamedTuple):
    """A field in which two definitions differ, and both values."""

    field: str
    kept: object
    wanted: object


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """All that decides what stored roll-ups mean. Two that are equal make the same roll-ups of the same facts.

    Attributes:
        timezone: the IANA zone whose calendar days are days.
        session_gap_s: how long a person may pause within one session.
        client_session_gap_s: how long within one that has an id of a client's: one wrong clock, or an id that is used
            again, begins another session instead of stretching one over weeks.
        engaged_s: a session of this length is engaged.
        engaged_views: so is one with so many views.
        view_event_types: events that are views.
        key_event_types: events, by type or name, that engage a session and that conversion is counted of at once.
        passive_event_types: what happens without the user doing anything: no activity.
        experiment_event_types: events that convert in the experiment which they name.
        drift_reference_records: how many first records of a model are its reference when nobody sets one.
        drift_window_records, drift_window_hours: a drift window ends with whichever comes first.
        rules: the version of everything about roll-ups that is code and no field here; also of the defaults of fields
            that nobody can set. Who changes one of these raises it.
    """

    timezone: str = "UTC"
    session_gap_s: int = 1800
    client_session_gap_s: int = 86_400
    engaged_s: int = 10
    engaged_views: int = 2
    view_event_types: frozenset[str] = frozenset({"page_view"})
    key_event_types: frozenset[str] = frozenset({"conversion", "purchase", "signup", "form_submit"})
    passive_event_types: frozenset[str] = semconv.PASSIVE_EVENT_TYPES
    experiment_event_types: frozenset[str] = frozenset({"conversion"})
    drift_reference_records: int = 1000
    drift_window_records: int = 1000
    drift_window_hours: int = 24
    rules: int = RULES

    # ------------------------------------------------------------ kept

    @classmethod
    def from_json(cls, text: str) -> Definitions:
        """Return definitions as `to_json` wrote them; fields of a newer version are left out."""
        kept: dict[str, Any] = json.loads(text)
        known = {field.name for field in fields(cls)}
        given: dict[str, Any] = {
            name: frozenset(value) if isinstance(value, list) else value
            for name, value in kept.items()
            if name in known
        }
        return cls(**given)

    def to_json(self) -> str:
        """Return the canonical JSON: names sorted, sets as sorted lists, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), default=sorted)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def differences(self, kept: Definitions) -> tuple[ChangedDefinition, ...]:
        """Return the fields in which the kept definitions differ from these, which are wanted."""
        return tuple(
            ChangedDefinition(field.name, getattr(kept, field.name), getattr(self, field.name))
            for field in fields(self)
            if getattr(kept, field.name) != getattr(self, field.name)
        )

    def refused(self, kept: Definitions) -> tuple[ChangedDefinition, ...]:
        """Return what forbids to open a store that keeps other definitions: all but what another version brings."""
        of_this_version = kept.rules == self.rules
        return tuple(one for one in self.differences(kept) if of_this_version or one.field in SETTABLE)

    def cannot_update(self, kept: Definitions) -> bool:
        """Tell whether a store that keeps others is for other processes to count: newer ones, or of other settings."""
        return kept.rules > self.rules or bool(self.refused(kept))

    # ------------------------------------------------------------ applied

    @cached_property
    def zone(self) -> ZoneInfo:
        """The zone of the days."""
        return ZoneInfo(self.timezone)

    @cached_property
    def day_of(self) -> Callable[[int], int]:
        """The local day of a time in microseconds."""
        return day_finder(self.zone)

    @property
    def session_gap_us(self) -> int:
        """How long a person may pause within one session, microseconds."""
        return self.session_gap_s * _SECOND_US

    @property
    def client_session_gap_us(self) -> int:
        """How long a person may pause within one session of a client's id, microseconds."""
        return self.client_session_gap_s * _SECOND_US

    def is_activity(self, event_type: str) -> bool:
        """Tell whether an event is something that the user did; a type that nobody here knows is."""
        return event_type not in self.passive_event_types

    def goals_of(self, event_type: str, name: str) -> frozenset[str]:
        """Return what an event converts to."""
        return self.key_event_types & {event_type, name}

    def is_engaged(self, duration_us: int, views: int, key_events: int) -> bool:
        """Tell whether a session is engaged: long enough, of enough views, or with a key event."""
        return duration_us >= self.engaged_s * _SECOND_US or views >= self.engaged_views or key_events > 0
