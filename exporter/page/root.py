"""The routes at the root, beside the API: the exposition, the probes of orchestrators, and the page."""

from __future__ import annotations

from typing import Final

import msgspec

from exporter.exposition.scopes import exposition
from exporter.http.envelope import JSON_HEADERS, HttpError
from exporter.http.types import AnyRoute, Content, NoQuery, PlainCall, get
from exporter.page import assets


def metrics(call: PlainCall) -> Content:
    """Answer with everything that is measured."""
    return exposition(call.runtime)


async def healthz(call: PlainCall) -> Content:
    """Answer that the process runs, whatever becomes of its store."""
    return _state("ok")


async def readyz(call: PlainCall) -> Content:
    """Answer whether a write would be committed now."""
    state = await call.backend.readiness.state()
    if state.fault:
        # Anybody may ask this, so the path of the store is left to the log and to `doctor`.
        message = f"store unavailable ({state.fault}); 'otel-measure doctor' tells more"
        raise HttpError(503, message, ((b"retry-after", b"1"),))
    remarks = {"definitions": "updating"} if state.is_updating else {}
    return _state("ready", **remarks, **({"clock": "doubted"} if state.doubts_clock else {}))


async def page(call: PlainCall) -> Content:
    """Answer with the page."""
    return assets.page()


async def page_part(call: PlainCall) -> Content:
    """Answer with a script, a style sheet or a picture of the page."""
    return assets.part(call.path_params["digest"], call.path_params["file"])


def _state(state: str, **more: str) -> Content:
    return Content(msgspec.json.encode({"status": state, **more}), JSON_HEADERS)


ROUTES: Final[tuple[AnyRoute, ...]] = (
    get(
        "/metrics", metrics, NoQuery,
        "Prometheus exposition", "Every series, in the text format of Prometheus.",
        produces=("text/plain",),
    ),
    get("/healthz", healthz, NoQuery, "Liveness", "The process runs.", access="open", needs_runtime=False),
    get("/readyz", readyz, NoQuery, "Readiness", "A write would be committed now.", access="open"),
    get("/", page, NoQuery, "The page", "HTML.", access="page", needs_runtime=False),
    get(
        "/static/{digest}/{file}", page_part, NoQuery,
        "A part of the page", "A file, for as long as the page is of this version.",
        access="page", needs_runtime=False,
    ),
)  # fmt: skip
