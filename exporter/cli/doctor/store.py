"""Checks of the store: none is wanted, none can be opened, or those of its engine."""

from __future__ import annotations

from collections.abc import Sequence

from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError
from otel_measure.store.engines import store_checks
from otel_measure.store.types.findings import StoreCheck, ok, wrong


def checks(settings: Settings) -> Sequence[StoreCheck]:
    """Return the checks of the store that the settings name, which need not be there."""
    if settings.store is None:
        none = ok("none: measurements leave by OpenTelemetry only, reports are not available")
        return (StoreCheck("store", lambda: none),)
    try:
        return store_checks(settings)
    except ConfigurationError as refusal:  # as who opens it is told, who ends with it
        refused = wrong(str(refusal))
        return (StoreCheck("store", lambda: refused),)
