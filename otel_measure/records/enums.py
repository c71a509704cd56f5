"""The closed lists of the public API; a member or its value is accepted everywhere."""

from __future__ import annotations

from enum import Enum


class ModelType(Enum):
    """What a model does."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    NLP_GENERATION = "nlp_generation"
    NLP_TRANSLATION = "nlp_translation"
    IMAGE_GENERATION = "image_generation"
    EMBEDDINGS = "embeddings"
    OTHER = "other"


class EventType(Enum):
    """What a user did."""

    PAGE_VIEW = "page_view"
    CLICK = "click"
    FORM_SUBMIT = "form_submit"
    CONVERSION = "conversion"
    PURCHASE = "purchase"
    SIGNUP = "signup"
    LOGIN = "login"
    LOGOUT = "logout"
    FEATURE_USE = "feature_use"
    ERROR = "error"
    CUSTOM = "custom"


class DriftStatus(Enum):
    """How far a model's data has moved from its reference."""

    NO_DRIFT = "no_drift"
    MINOR_DRIFT = "minor_drift"
    MODERATE_DRIFT = "moderate_drift"
    SEVERE_DRIFT = "severe_drift"


class HealthStatus(Enum):
    """How the machine is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"


class UserSegment(Enum):
    """Where a user stands between arriving and leaving."""

    NEW = "new"
    ACTIVE = "active"
    POWER = "power"
    AT_RISK = "at_risk"
    CHURNED = "churned"
    RESURRECTED = "resurrected"
