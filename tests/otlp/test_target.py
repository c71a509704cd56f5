from __future__ import annotations

from dataclasses import replace

import pytest

from otel_measure.errors import ConfigurationError
from otel_measure.otlp.target import OtlpLogs, otlp_logs, sdk_is_disabled


def test_where_events_go() -> None:
    """OpenTelemetry's own variables say; those of logs win over the general ones."""
    assert otlp_logs("http://there:4318/", {}) == OtlpLogs("http://there:4318/v1/logs", {})
    general = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "c.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "k.pem",
    }
    expected = OtlpLogs(
        "http://there:4318/v1/logs", {"authorization": "Bearer x"}, 3.0, "none", "ca.pem", ("c.pem", "k.pem")
    )
    assert otlp_logs("http://there:4318", general) == expected
    own = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://logs/x", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "4"}
    assert otlp_logs("http://there:4318", general | own) == replace(expected, url="http://logs/x", timeout_s=4.0)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "x"}, "OTEL_EXPORTER_OTLP_TIMEOUT must be seconds, not 'x'"),
        ({"OTEL_EXPORTER_OTLP_COMPRESSION": "br"}, "OTEL_EXPORTER_OTLP_COMPRESSION must be gzip or none, not 'br'"),
    ],
)
def test_a_bad_variable_of_opentelemetry(environ: dict[str, str], message: str) -> None:
    """The message names it."""
    with pytest.raises(ConfigurationError) as raised:
        otlp_logs("http://there", environ)
    assert str(raised.value) == message


def test_opentelemetry_may_be_switched_off() -> None:
    """By its own variable."""
    assert [sdk_is_disabled({"OTEL_SDK_DISABLED": value}) for value in ("true", " TRUE", "false", "")] == [
        *(True, True, False, False)
    ]
    assert not sdk_is_disabled({})
