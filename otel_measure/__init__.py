"""How the machine, the models and the users of an application are doing, measured through OpenTelemetry.

The public names, sorted; each is imported when it is first used, so that `import otel_measure` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_measure.config import Settings
    from otel_measure.process import (
        configure,
        flush,
        get_ai_model_service,
        get_infrastructure_service,
        get_otlp_senders,
        get_user_analytics_service,
        shutdown,
    )
    from otel_measure.records.caller import context
    from otel_measure.records.enums import DriftStatus, EventType, HealthStatus, ModelType, UserSegment

_HOMES = {
    "DriftStatus": "records.enums",
    "EventType": "records.enums",
    "HealthStatus": "records.enums",
    "ModelType": "records.enums",
    "Settings": "config",
    "UserSegment": "records.enums",
    "configure": "process",
    "context": "records.caller",
    "flush": "process",
    "get_ai_model_service": "process",
    "get_infrastructure_service": "process",
    "get_otlp_senders": "process",
    "get_user_analytics_service": "process",
    "shutdown": "process",
}
__all__ = [
    "DriftStatus",
    "EventType",
    "HealthStatus",
    "ModelType",
    "Settings",
    "UserSegment",
    "configure",
    "context",
    "flush",
    "get_ai_model_service",
    "get_infrastructure_service",
    "get_otlp_senders",
    "get_user_analytics_service",
    "shutdown",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
