"""How the machine, the models and the users of an application are doing, measured through OpenTelemetry."""

from otel_measure.config import Settings
from otel_measure.context import context
from otel_measure.enums import DriftStatus, EventType, HealthStatus, ModelType, UserSegment
from otel_measure.runtime import (
    configure,
    flush,
    get_ai_model_service,
    get_infrastructure_service,
    get_user_analytics_service,
    shutdown,
)

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
    "get_user_analytics_service",
    "shutdown",
]
