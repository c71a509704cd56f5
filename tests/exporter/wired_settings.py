"""What is seen of the settings of a server: each function looks at what one of them does."""

from __future__ import annotations

from typing import Any, Final

import pytest
from starlette.testclient import TestClient

from exporter.app import create_app
from exporter.cli import otlp_grpc, ports, serving
from exporter.http.tokens import digest_of
from exporter.running import RuntimeOnDemand
from otel_measure import process
from tests.wired_settings import Given, recorder_durability

SECRETS: Final = (None, "all", "get", "put")
KPIS: Final = "/api/v1/metrics/kpis"
TRACK: Final = "/api/v1/metrics/users/events/track"


def listening(given: Given) -> object:
    """Where the server listens."""
    asked: list[tuple[str, int]] = []

    def listen(host: str, port: int) -> Any:
        asked.append((host, port))
        raise SystemExit

    given.monkeypatch.setattr(ports, "listen", listen)
    with pytest.raises(SystemExit):
        serving.serve(given.with_settings(), announce=lambda *_: None, warn=lambda _: None, tls=None)
    return asked[0]


def listening_for_grpc(given: Given) -> object:
    """On which port the server takes OTLP over gRPC."""
    return otlp_grpc.wanted_port(given.with_settings())


def answers(given: Given, *, token: str | None = None, client: str = "127.0.0.1") -> tuple[int, int]:
    """Return how a question and a write are answered."""
    runtime = given.runtime()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with TestClient(
        create_app(runtime=runtime), base_url="http://localhost", client=(client, 50_000), headers=headers
    ) as asking:
        body = {"user_id": "u", "event_type": "click", "event_name": "x"}
        seen = asking.get(KPIS).status_code, asking.post(TRACK, json=body).status_code
    runtime.shutdown()
    return seen


def preflight(given: Given) -> object:
    """Which origin a browser may call from, when the application is made of settings and of a runtime."""
    headers = {"origin": "https://app.example", "access-control-request-method": "GET"}
    seen = []
    runtime = given.runtime()
    for app in (create_app(given.with_settings()), create_app(runtime=runtime)):
        asking = TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50_000))
        seen.append(asking.options(KPIS, headers=headers).headers.get("access-control-allow-origin"))
    runtime.shutdown()
    process.shutdown()  # the application of settings has made one
    return seen


def durability(given: Given) -> object:
    """How durably the recorder and the server commit."""
    return recorder_durability(given), server_durability(given)


def server_durability(given: Given) -> object:
    """How durably the server commits."""
    commits: list[bool] = []
    runtime = given.runtime()

    def commit(records: object, *, durable: bool = False) -> list[object]:
        commits.append(durable)
        return []

    given.monkeypatch.setattr(runtime.recorder, "commit", commit)
    live = RuntimeOnDemand(lambda: runtime)._start()
    live.backend.commits.commit_now([])
    runtime.shutdown()
    return commits


def doors(given: Given) -> object:
    """How a question and a write are answered to whoever holds each of the secrets, and to a stranger."""
    return {secret: answers(given, token=secret) for secret in SECRETS}


def doors_of_a_file(given: Given) -> object:
    """The same, where a file of tokens that is named has one that may read."""
    file = given.settings["tokens_file"]
    if file is None:
        return doors(given)
    path = given.folder / file
    path.write_text(f"grafana read sha256:{digest_of(b'get').hex()}\n")
    path.chmod(0o600)
    return doors(Given({"tokens_file": str(path)}, given.folder, given.monkeypatch))


def open_door(given: Given) -> object:
    """How a question and a write from another machine are answered."""
    return answers(given, client="10.0.0.1")
