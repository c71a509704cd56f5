"""The answer to "I pointed my application at it and see nothing, why?": who sends, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from otel_measure.definitions.arrivals import Arrival, by_source, explained
from otel_measure.definitions.days import moment
from otel_measure.definitions.windows import HOUR_US

NOTHING_CAME: Final = (
    "nothing came in the last hour: set OTEL_EXPORTER_OTLP_ENDPOINT to the address of this exporter and"
    " OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf where the application runs (grpc needs the extra `grpc`, and its"
    " port), and look there for errors of its exporter: a 401 or 403 is a missing token"
)


@dataclass(frozen=True, slots=True)
class Became:
    """Items of one signal of which the same became.

    Attributes:
        signal: metrics (data points), logs (records) or traces (spans).
        outcome: call (counted as one, or told of some), same_call (of a call that was known), step (of an agent),
            event, host, series (of `/metrics`), own (a fact of ours says it too), duplicate, ignored or rejected.
        why: they became nothing, or less than one may expect; "" where all is well.
        remedy: what to do, if anything.
    """

    signal: str
    outcome: str
    items: int
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class OtlpSender:
    """What one instrumentation of a service sent; `sdk_language` is "" where nobody says it."""

    service_name: str
    environment: str
    sdk_language: str
    scope: str
    items: int
    became: tuple[Became, ...]


@dataclass(frozen=True, slots=True)
class OtlpSenders:
    """Who sent what by OTLP in the last hour, sorted; `advice` says what to look at when nobody did."""

    senders: tuple[OtlpSender, ...]
    total_items: int
    advice: str
    since: datetime


def senders_report(arrived: Mapping[Arrival, int], now: int) -> OtlpSenders:
    """Return the report.

    Args:
        arrived: what came in the last hour.
        now: microseconds.
    """
    senders = [
        OtlpSender(*source, sum(n for _, n in items), tuple(_became(arrival, n) for arrival, n in items))
        for source, items in by_source(arrived.items())
    ]
    return OtlpSenders(
        tuple(senders),
        sum(arrived.values()),
        "" if senders else NOTHING_CAME,
        moment(now - HOUR_US),
    )


def _became(arrival: Arrival, items: int) -> Became:
    why, remedy = explained(arrival.outcome, arrival.reason)
    return Became(arrival.signal, arrival.outcome, items, why, remedy)
