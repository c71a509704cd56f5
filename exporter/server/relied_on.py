"""What our protocol takes for granted of uvicorn, by name: a version without it is refused before anything listens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from otel_measure.errors import MeasureError

NAMES: Final[Mapping[type, tuple[str, ...]]] = MappingProxyType({
    HttpToolsProtocol: (
        "connection_made", "connection_lost", "data_received", "on_url", "on_header", "on_headers_complete", "on_body",
        "on_message_begin", "on_message_complete", "on_response_complete", "shutdown", "_unset_keepalive_if_required",
        "parser", "transport", "flow", "loop", "client", "headers", "cycle", "pipeline",
    ),
    RequestResponseCycle: (
        "disconnected", "keep_alive", "message_event", "response_started", "response_complete",
        "expected_content_length", "receive", "send", "transport",
    ),
    FlowControl: ("pause_reading", "resume_reading"),
})  # fmt: skip


class UnsupportedUvicorn(MeasureError):  # noqa: N818 - reads as the state it reports
    """The installed uvicorn is not one that `serve` can put its limits on."""


def require_names(relied_on: Mapping[type, Iterable[str]] = NAMES) -> None:
    """Refuse a uvicorn that lacks a method or an attribute which our protocol uses.

    Raises:
        UnsupportedUvicorn: names what is missing, and the version.
    """
    missing = [
        f"{kind.__name__}.{name}" for kind, names in relied_on.items() for name in names if name not in _names(kind)
    ]
    if missing:
        raise UnsupportedUvicorn(
            f"uvicorn {metadata.version('uvicorn')} has no {', '.join(missing)}, which the limits of `serve` need: "
            "install the version that otel-measure asks for (pip install --upgrade otel-measure)"
        )


def _names(kind: type) -> set[str]:
    """Return the names of a class and of what its constructor sets."""
    return {*dir(kind), *getattr(kind, "__init__").__code__.co_names}  # noqa: B009 - mypy takes it for an instance's
