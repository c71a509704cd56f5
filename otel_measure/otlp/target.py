"""Where events go by OTLP/HTTP, by OpenTelemetry's own variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otel_measure.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class OtlpLogs:
    """Where events go by OTLP/HTTP.

    Attributes:
        url: of the signal.
        headers: sent with each request.
        timeout_s: of one request.
        compression: "gzip" or "none".
        certificate: a file of certificates to trust; `None` for the system's.
        client_certificate: files of the client's certificate and key.
    """

    url: str
    headers: Mapping[str, str]
    timeout_s: float = 10.0
    compression: str = "gzip"
    certificate: str | None = None
    client_certificate: tuple[str, str] | None = None


def otlp_logs(endpoint: str, environ: Mapping[str, str]) -> OtlpLogs:
    """Return where events go, by OpenTelemetry's own variables: those of logs before the general ones.

    Raises:
        ConfigurationError: the time-out is no number, or the compression an unknown one.
    """
    from opentelemetry.util.re import parse_env_headers

    def of(name: str) -> str:
        general, own = f"OTEL_EXPORTER_OTLP_{name}", f"OTEL_EXPORTER_OTLP_LOGS_{name}"
        return environ.get(own) or environ.get(general) or ""

    compression = of("COMPRESSION").lower() or "gzip"
    if compression not in {"gzip", "none"}:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_COMPRESSION must be gzip or none, not {compression!r}")
    try:
        timeout_s = float(of("TIMEOUT") or 10)
    except ValueError:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_TIMEOUT must be seconds, not {of('TIMEOUT')!r}") from None
    certificate, key = of("CLIENT_CERTIFICATE"), of("CLIENT_KEY")
    return OtlpLogs(
        environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") or f"{endpoint.rstrip('/')}/v1/logs",
        parse_env_headers(of("HEADERS"), liberal=True),
        timeout_s,
        compression,
        of("CERTIFICATE") or None,
        (certificate, key) if certificate and key else None,
    )


def sdk_is_disabled(environ: Mapping[str, str]) -> bool:
    """Tell whether OpenTelemetry is switched off: nothing is sent then."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
