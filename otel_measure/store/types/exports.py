"""All that a store has of one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class PersonalId:
    """One id of a person; `identified_as` is the user that it was linked to, `None` for none."""

    id: str
    identified_as: str | None


@dataclass(frozen=True, slots=True)
class ExportedFact:
    """A fact in the form of an OpenTelemetry event.

    Attributes:
        event: its name.
        is_telling: a span or an event of the last hours that tells of a call, which is a fact by itself once it counts.
    """

    event: str
    at: datetime
    service: str
    environment: str
    attributes: Mapping[str, Any]
    trace_id: str | None
    span_id: str | None
    is_telling: bool = False


@dataclass(frozen=True, slots=True)
class UserExport:
    """All that is stored of a person, under every id.

    Attributes:
        user_id: as it was asked for.
        ids: sorted; empty where nobody has the id.
        facts: what the person did, calls of models for them, and truths and evaluations of those; by time.
        rolled_up: by table, its rows as they are: times are microseconds since 1970 UTC, days are days since
            1970-01-01. They hold days, sessions, conversions, answers and memberships of experiments, also of facts
            that retention has removed.
        series: of others, whose labels name the person: `name{labels}`.
    """

    user_id: str
    ids: tuple[PersonalId, ...]
    facts: tuple[ExportedFact, ...]
    rolled_up: Mapping[str, tuple[Mapping[str, Any], ...]]
    series: tuple[str, ...]
