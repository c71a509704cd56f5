"""What came by OTLP and what became of it, as a store keeps it."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Signal: TypeAlias = Literal["metrics", "logs", "traces"]
Outcome: TypeAlias = Literal["call", "same_call", "event", "host", "series", "own", "duplicate", "ignored", "rejected"]


class ArrivalSource(NamedTuple):
    """Who sends: a service, the language of its SDK ("" when unknown), and an instrumentation in it."""

    service: str
    environment: str
    language: str
    scope: str


class Arrival(NamedTuple):
    """Items of one signal from one source of which the same became."""

    source: ArrivalSource
    signal: Signal
    outcome: Outcome
    reason: str
