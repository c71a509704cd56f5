"""The check of the endpoint that events are sent to."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from exporter.cli.doctor.surroundings import Surroundings
from otel_measure.otlp.send.push import message_of, way_out
from otel_measure.store.types.findings import Finding, ok, wrong

_PORTS: Final = {"http": 4318, "https": 443}


def endpoint(s: Surroundings) -> Finding:
    """Whether the OTLP endpoint takes events; it is asked with a request that holds none."""
    url = s.settings.otlp_endpoint
    if url is None:
        return ok("none: nothing is sent")
    parts = urlsplit(url)
    host, number = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if not s.can_connect(host, number):
        return wrong(
            f"nobody answers at {host} port {number}",
            "start the Collector there, or change OTEL_EXPORTER_OTLP_ENDPOINT; events wait in the store meanwhile",
        )
    answer = s.sends(url, s.environ)
    if 200 <= answer.status < 300:
        return ok(f"{host} port {number} takes OTLP")
    if answer.status:
        said = f"{answer.status}: {message_of(answer.body)}".rstrip(": ")
        return wrong(f"{host} port {number} does not take OTLP over HTTP ({said})", way_out(answer.status))
    return wrong(
        f"{host} port {number} speaks no HTTP ({answer.why})",
        "OTLP/gRPC is not spoken: give the port of OTLP/HTTP (4318 at a Collector)",
    )
