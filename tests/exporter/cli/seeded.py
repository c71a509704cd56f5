"""A store with a little of everything, whose names may be hostile."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from otel_measure.config import Settings
from otel_measure.runtime import Runtime

HOSTILE: Final = (
    '\x1b[31mred\x1b]0;owned\x07|**b**\u202e<img src=x onerror="alert(1)">[l](javascript:x)`c`\n# h \u009b2J'
)
"""Colours, a title of the window and the other way round for a terminal; a cell, a heading and markup for the rest."""


def seed(path: Path, name: str = "churn", *, calls: int = 30) -> None:
    """Record calls, users, a service that was down, and a test in which somebody takes part."""
    runtime = Runtime(Settings(store=str(path), service_name="shop"))
    try:
        ai, users, machine = runtime.ai, runtime.users, runtime.infrastructure
        for n in range(calls):
            ai.record_inference(name, name, 900.0 + n, 100, 20, 0.01, error_type=None if n % 3 else name)
        for n in range(10):
            users.track_event(n, "page_view", name, page_url=name)
            users.track_event(n, "conversion", name)
            users.record_nps_response(n, n)
        machine.register_service(name)
        machine.record_service_down(name, reason=name)
        test = users.create_ab_test(name, ["control", name], key="k")
        for n in range(10):
            users.assign_variant(test, n)
        runtime.flush()
    finally:
        runtime.shutdown()
