"""Who sends by OTLP, and what becomes of it."""

from __future__ import annotations

from typing import Final

from exporter.http.lists import Listing
from exporter.http.types import API, AnyRoute, Call, NoBody, NoQuery, get
from otel_measure.otlp.sending import OtlpSenders


def senders(call: Call[NoQuery, NoBody]) -> OtlpSenders:
    """Answer who sent what in the last hour, what became of it, and where it became nothing, why and what to do."""
    return call.runtime.receiver.senders()


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        f"{API}/otlp/senders", senders, NoQuery,
        "Who sends by OTLP, and what becomes of it",
        "What came in the last hour by sender and instrumentation; where it was ignored, why and what to do.",
        lists=(Listing("senders", ("service_name", "environment", "sdk_language", "scope")),),
    ),
)  # fmt: skip
