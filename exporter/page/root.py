"""The routes at the root, beside the API: the exposition, the probes of orchestrators, and the page."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from exporter.exposition.scopes import exposition
from exporter.http.envelope import JSON_HEADERS, HttpError
from exporter.http.types import AnyRoute, Content, NoQuery, PlainCall, get
from exporter.page.assets import asset
from otel_measure.errors import StoreUnavailable
from otel_measure.store.waiting import waiting_until

_CHECK_FOR_S: Final = 0.5


def metrics(call: PlainCall) -> Content:
    """Answer with everything that is measured."""
    return exposition(call.runtime)


async def healthz(call: PlainCall) -> Content:
    """Answer that the process runs, whatever becomes of its store."""
    return _state("ok")


def readyz(call: PlainCall) -> Content:
    """Answer whether a write would be committed now."""
    try:
        if call.runtime.store is not None:
            with waiting_until(time.monotonic() + _CHECK_FOR_S):
                call.runtime.store.check()
    except StoreUnavailable as fault:
        # Anybody may ask this, so the path of the store is left to the log and to `doctor`.
        message = f"store unavailable ({fault.cause_name}); 'otel-measure doctor' tells more"
        raise HttpError(503, message, ((b"retry-after", b"1"),)) from None
    return _state("ready")


async def page(call: PlainCall) -> Content:
    """Answer with the page."""
    return asset("index.html")


async def page_part(call: PlainCall) -> Content:
    """Answer with a script, a style sheet or a picture of the page."""
    return asset(call.path_params["file"])


def _state(state: str) -> Content:
    return Content(msgspec.json.encode({"status": state}), JSON_HEADERS)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        "/metrics", metrics, NoQuery,
        "Prometheus exposition", "Every series, in the text format of Prometheus.",
        produces=("text/plain",),
    ),
    get("/healthz", healthz, NoQuery, "Liveness", "The process runs.", access="open", needs_runtime=False),
    get("/readyz", readyz, NoQuery, "Readiness", "A write would be committed now.", access="open"),
    get("/", page, NoQuery, "The page", "HTML.", access="page", needs_runtime=False),
    get("/static/{file}", page_part, NoQuery, "A part of the page", "A file.", access="page", needs_runtime=False),
)  # fmt: skip
