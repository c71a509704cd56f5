"""Checks of the process: the versions it runs on, and the OpenTelemetry settings that change what we send."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Final

from exporter.cli.doctor.surroundings import Surroundings
from otel_measure.store.types.findings import Finding, ok, warning, wrong

_SDK_PACKAGES: Final = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_CUTTING_LIMITS: Final = tuple(
    f"OTEL_{kind}ATTRIBUTE_{limit}_LIMIT" for kind in ("", "LOGRECORD_") for limit in ("COUNT", "VALUE_LENGTH")
)


def python_version(s: Surroundings) -> Finding:
    """Which Python this is."""
    return ok(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")


def opentelemetry_versions(s: Surroundings) -> Finding:
    """Whether the OpenTelemetry packages are of one release; those of two releases do not work together."""
    versions = {name: s.version_of(name) for name in _SDK_PACKAGES}
    prometheus = s.version_of("opentelemetry-exporter-prometheus")
    what = ", ".join(f"{name.removeprefix('opentelemetry-')} {version}" for name, version in versions.items())
    what += f", exporter-prometheus {prometheus}"
    if len(set(versions.values())) == 1:
        return ok(what)
    newest = max(versions.values(), key=lambda v: [int(part) for part in v.split(".") if part.isdigit()])
    pins = " ".join(f"{name}=={newest}" for name in versions)
    return wrong(f"versions differ: {what}", f"pip install {pins}")


def opentelemetry_settings(s: Surroundings) -> Finding:
    """Whether OpenTelemetry's own variables switch our instruments off or cut our events."""
    if s.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return warning(
            "OTEL_SDK_DISABLED=true: instruments record nothing; facts are stored",
            "unset it when metrics are to leave this process",
        )
    limits = [f"{name}={s.environ[name]}" for name in _CUTTING_LIMITS if s.environ.get(name)]
    if limits:
        return warning(
            f"{', '.join(limits)} may cut attributes of the events we send",
            "unset it, or accept it: the store itself is fed without these limits",
        )
    return ok("nothing stands in the way")


def opentelemetry_internals(s: Surroundings) -> Finding:
    """Whether the private names of OpenTelemetry that we use are there, and what is lost where they are not."""
    missing = s.missing_internals()
    if missing:
        return warning(
            "; ".join(f"{internal.names} is gone: {internal.lost}" for internal in missing),
            "use the release of OpenTelemetry that this one is tested with; nothing else is lost meanwhile",
        )
    return ok("every private name that we use is there")


def application_views(s: Surroundings) -> Finding:
    """Whether Views of the application's own MeterProvider may drop or change our instruments."""
    from otel_measure.telemetry.sdk_internals import views_of

    views = views_of(s.meter_provider())
    if views:
        return warning(
            f"the MeterProvider of the application has {len(views)} View(s)",
            "check that none of them matches gen_ai.*, system.* or otel_measure.*: a View wins over our buckets",
        )
    return ok("no View changes our instruments")


def price_table(s: Surroundings) -> Finding:
    """Whether calls of models that nobody gives a cost for have a price."""
    try:
        return ok(f"genai-prices {s.version_of('genai-prices')}")
    except metadata.PackageNotFoundError:
        return warning(
            "there is no price table: calls have a cost only where caller, provider or price_overrides says it",
            "pip install genai-prices",
        )
