"""The exporter: otel-measure as an ASGI application and as a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> object:
    # Starlette is loaded when somebody asks for the application: `otel-measure --help` does not.
    if name == "create_app":
        from exporter.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
