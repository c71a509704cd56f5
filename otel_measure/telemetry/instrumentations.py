"""The official GenAI instrumentations that are installed: turned on, and off again by whoever did."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

_log: Final = logging.getLogger("otel_measure")
GROUP: Final = "opentelemetry_instrumentor"
DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
# Distributions of OpenTelemetry's own; others have the same names for what they instrument.
_PREFIX: Final = "opentelemetry-instrumentation-genai-"
_OLDER: Final = frozenset(
    f"opentelemetry-instrumentation-{name}" for name in ("openai-v2", "openai-agents-v2", "google-genai", "vertexai")
)


def installed() -> list[EntryPoint]:
    """Return the instrumentations of GenAI clients that are installed."""
    return [point for point in entry_points(group=GROUP) if _is_genai(point)]


def _is_genai(point: EntryPoint) -> bool:
    distribution = point.dist.name if point.dist is not None else ""
    return distribution.startswith(_PREFIX) or distribution in _OLDER


def turn_on(points: Iterable[EntryPoint], environ: Mapping[str, str], fault: Callable[[str], None]) -> list[Any]:
    """Turn on instrumentations and return those that were off; one that fails is logged, counted and left alone.

    Args:
        points: where they are.
        environ: OpenTelemetry's own variable of those that are not wanted is in it.
        fault: counts a failure.
    """
    unwanted = {name.strip() for name in environ.get(DISABLED, "").split(",")}
    turned_on = []
    for point in points:
        if point.name in unwanted or "*" in unwanted:
            continue
        try:
            instrumentor = point.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument()
                turned_on.append(instrumentor)
        except Exception as error:
            fault("auto_instrument")
            _log.warning("the instrumentation %s could not be turned on: %r", point.name, error)
    return turned_on


def turn_off(instrumentors: Iterable[Any]) -> None:
    """Turn off what `turn_on` has turned on."""
    for instrumentor in instrumentors:
        try:
            instrumentor.uninstrument()
        except Exception as error:
            _log.warning("an instrumentation could not be turned off: %r", error)
