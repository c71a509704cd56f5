"""The exposition of everything that is measured, from the store or, without one, from this process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from exporter.exposition import prometheus
from exporter.http.types import Content

if TYPE_CHECKING:
    from otel_measure.runtime import Runtime


def exposition(runtime: Runtime, scope: Literal["infrastructure"] | None = None) -> Content:
    """Return the exposition; `scope="infrastructure"` leaves models and users away (with a store)."""
    if runtime.store is None:
        body, content_type = runtime.telemetry.prometheus_text()
    else:
        body, content_type = prometheus.render(runtime.exposition.families(scope)), prometheus.CONTENT_TYPE
    return Content(body, ((b"content-type", content_type.encode()), (b"cache-control", b"no-store")))
