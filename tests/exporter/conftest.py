"""A real runtime over a store of its own, and a client of this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.components import requires_binary

NOW_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *(requires_binary("openssl", "openssl"), "req", "-x509", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def clock() -> Clock:
    """Stands still at noon."""
    return Clock(moment(NOW_US))


@pytest.fixture
def runtime(tmp_path: Path, clock: Clock) -> Iterator[Runtime]:
    """A runtime, as it is before somebody asks for it."""
    started = Runtime(Settings(store=str(tmp_path / "measure.db")), clock=clock)
    yield started
    started.shutdown()


@pytest.fixture
def app(runtime: Runtime) -> Starlette:
    """The application over that runtime."""
    return create_app(runtime=runtime)


@pytest.fixture
def local() -> Callable[[Starlette], TestClient]:
    """Makes clients that are direct and on this machine."""
    return lambda app: TestClient(
        app, base_url="http://localhost:5000", client=("127.0.0.1", 50_000), raise_server_exceptions=False
    )


@pytest.fixture
def client(app: Starlette, local: Callable[[Starlette], TestClient]) -> Iterator[TestClient]:
    """A direct client of this machine."""
    with local(app) as opened:
        yield opened
