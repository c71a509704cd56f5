"""Checks of the process."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from exporter.cli.doctor import process
from exporter.cli.doctor.surroundings import global_meter_provider
from otel_measure.store.types.findings import Finding
from otel_measure.telemetry.sdk_internals import Internal
from tests.exporter.cli.doctor.good_surroundings import around


def test_without_a_price_table() -> None:
    """Nothing is wrong, but that most calls have no cost; the way out is the pip line."""

    def version_of(name: str) -> str:
        raise PackageNotFoundError(name)

    assert process.price_table(around(version_of=version_of)) == Finding(
        "warning",
        "there is no price table: calls have a cost only where caller, provider or price_overrides says it",
        "pip install genai-prices",
    )
    assert process.price_table(around(version_of=lambda _: "1.2")) == Finding("ok", "genai-prices 1.2")


def test_opentelemetry_packages_of_two_releases() -> None:
    """Packages of different releases are listed, and the pip line brings the older ones up."""
    versions = {"opentelemetry-api": "1.45.2", "opentelemetry-sdk": "1.9.0"}
    finding = process.opentelemetry_versions(around(version_of=lambda name: versions.get(name, "1.45.2")))
    assert finding == Finding(
        "wrong",
        "versions differ: api 1.45.2, sdk 1.9.0, exporter-otlp-proto-http 1.45.2, exporter-prometheus 1.45.2",
        "pip install opentelemetry-api==1.45.2 opentelemetry-sdk==1.45.2 "
        "opentelemetry-exporter-otlp-proto-http==1.45.2",
    )


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"OTEL_SDK_DISABLED": "TRUE"}, "OTEL_SDK_DISABLED=true: instruments record nothing; facts are stored"),
        (
            {"OTEL_ATTRIBUTE_COUNT_LIMIT": "8"},
            "OTEL_ATTRIBUTE_COUNT_LIMIT=8 may cut attributes of the events we send",
        ),
    ],
)
def test_variables_that_take_something_away(environ: dict[str, str], what: str) -> None:
    """OpenTelemetry's own variables are honoured, so what they cost is said."""
    finding = process.opentelemetry_settings(around(environ=environ))
    assert (finding.verdict, finding.what) == ("warning", what)


def test_what_opentelemetry_no_longer_has() -> None:
    """Each private name that is gone is named with what is lost; nothing else is, so it is a warning."""
    assert process.opentelemetry_internals(around()) == Finding("ok", "every private name that we use is there")
    gone = [Internal("A._b", "counts are slower", lambda probe: False), Internal("C._d", "forks", lambda probe: False)]
    assert process.opentelemetry_internals(around(missing_internals=lambda: gone)) == Finding(
        "warning",
        "A._b is gone: counts are slower; C._d is gone: forks",
        "use the release of OpenTelemetry that this one is tested with; nothing else is lost meanwhile",
    )


def test_views_of_the_application() -> None:
    """Views of an adopted MeterProvider are a warning, since they win over our buckets."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.view import View

    provider = MeterProvider(views=[View(instrument_name="*")])
    assert process.application_views(around(meter_provider=lambda: provider)) == Finding(
        "warning",
        "the MeterProvider of the application has 1 View(s)",
        "check that none of them matches gen_ai.*, system.* or otel_measure.*: a View wins over our buckets",
    )
    provider.shutdown()


def test_a_process_without_views() -> None:
    """The provider that is asked about is the global one."""
    surroundings = around(meter_provider=global_meter_provider)
    assert process.application_views(surroundings) == Finding("ok", "no View changes our instruments")
