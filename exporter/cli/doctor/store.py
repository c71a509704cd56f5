"""Checks of the store: none is wanted, no engine knows its place, or those of its engine."""

from __future__ import annotations

from collections.abc import Sequence

from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError
from otel_measure.store.engines import store_checks
from otel_measure.store.places import shown
from otel_measure.store.types.findings import StoreCheck, ok, warning


def checks(settings: Settings) -> Sequence[StoreCheck]:
    """Return the checks of the store that the settings name, which need not be there."""
    if settings.store is None:
        none = ok("none: measurements leave by OpenTelemetry only, reports are not available")
        return (StoreCheck("store", lambda: none),)
    try:
        return store_checks(settings)
    except ConfigurationError:
        unknown = warning(f"{shown(settings.store)} is not a file; nothing more is checked here")
        return (StoreCheck("store", lambda: unknown),)
