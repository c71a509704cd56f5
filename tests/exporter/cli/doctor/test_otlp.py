"""The check of the endpoint that events are sent to."""

from __future__ import annotations

from google.rpc.status_pb2 import Status

from exporter.cli.doctor import otlp
from otel_measure.otlp.send.push import PostResponse
from otel_measure.store.types.findings import Finding
from tests.exporter.cli.doctor.good_surroundings import around


def test_an_otlp_endpoint(port: int) -> None:
    """Somebody listens there or nobody does; without a port the one of OTLP is meant."""
    place = f"http://127.0.0.1:{port}/x"
    there = otlp.endpoint(around(otlp_endpoint=place, sends=lambda *_: PostResponse(200)))
    status = Status(code=16, message="a valid token is needed").SerializeToString()
    refused = otlp.endpoint(around(otlp_endpoint=place, sends=lambda *_: PostResponse(401, status)))
    elsewhere = otlp.endpoint(around(otlp_endpoint=place, sends=lambda *_: PostResponse(404)))
    other = otlp.endpoint(around(otlp_endpoint=place, sends=lambda *_: PostResponse(0, why="Bad status line")))
    asked: list[tuple[str, int]] = []

    def refuse(host: str, number: int) -> bool:
        asked.append((host, number))
        return False

    nobody = otlp.endpoint(around(otlp_endpoint="http://collector", can_connect=refuse))
    here = f"127.0.0.1 port {port}"
    assert there == Finding("ok", f"{here} takes OTLP")
    assert refused == Finding(
        "wrong",
        f"{here} does not take OTLP over HTTP (401: a valid token is needed)",
        "they stay in the store: set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token>",
    )
    assert elsewhere == Finding(
        "wrong",
        f"{here} does not take OTLP over HTTP (404)",
        "they stay in the store: otlp_endpoint is the base URL, /v1/logs is added to it",
    )
    assert other == Finding(
        "wrong",
        f"{here} speaks no HTTP (Bad status line)",
        "OTLP/gRPC is not spoken: give the port of OTLP/HTTP (4318 at a Collector)",
    )
    assert nobody == Finding(
        "wrong",
        "nobody answers at collector port 4318",
        "start the Collector there, or change OTEL_EXPORTER_OTLP_ENDPOINT; events wait in the store meanwhile",
    )
    assert asked == [("collector", 4318)]
