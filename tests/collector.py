"""The OpenTelemetry Collector for tests: the binary that `.ci/collector` builds, run with the files of `deploy/`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.components import Running, free_port, missing, running

ROOT: Final = Path(__file__).resolve().parents[1]
CONFIG: Final = ROOT / "deploy" / "collector.yaml"


class Ports(NamedTuple):
    """Where a Collector listens on this machine."""

    grpc: int
    http: int
    prometheus: int
    health: int


def free_ports() -> Ports:
    """Return ports that nobody listens on at this moment."""
    return Ports(free_port(), free_port(), free_port(), free_port())


def cached(name: str, keyed_by: str) -> Path:
    """Return where `.ci` keeps what it has made from a file of the tree."""
    sum_of = subprocess.run(
        ["cksum"], input=(ROOT / keyed_by).read_text("utf-8"), capture_output=True, text=True, check=True
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "otel-measure" / f"{name}-{sum_of.stdout.strip().replace(' ', '-')}"


def requires_collector() -> str:
    """Return the path of the Collector, or skip the test and say how to build it."""
    __tracebackhide__ = True
    binary = cached("collector", ".ci/collector.yaml") / "otelcol"
    if not binary.exists():
        missing("needs the OpenTelemetry Collector: .ci/collector (builds it with Go, some minutes)")
    return str(binary)


def collector_of_hosts() -> str:
    """Return the path of the Collector that has `resourcedetection` too, or skip the test: it takes long to build."""
    __tracebackhide__ = True
    binary = cached("collector", ".ci/collector-host.yaml") / "otelcol"
    if not binary.exists():
        pytest.skip("needs a larger OpenTelemetry Collector: .ci/collector collector-host.yaml (builds it with Go)")
    return str(binary)


def requires_javascript() -> Path:
    """Return the folder of the JavaScript that tests run, or skip the test and say how to install it."""
    __tracebackhide__ = True
    folder = cached("javascript", "tests/e2e/programs/js/package-lock.json") / "node_modules"
    if not (folder / ".done").exists():
        missing("needs packages of JavaScript: .ci/javascript (installs them with npm)")
    return folder


def variables(ports: Ports, exporter: str) -> dict[str, str]:
    """Return what the files of `deploy/` leave to the environment."""
    return {
        "OTLP_GRPC_ENDPOINT": f"127.0.0.1:{ports.grpc}",
        "OTLP_HTTP_ENDPOINT": f"127.0.0.1:{ports.http}",
        "PROMETHEUS_ENDPOINT": f"127.0.0.1:{ports.prometheus}",
        "HEALTH_ENDPOINT": f"127.0.0.1:{ports.health}",
        "MEASURE_URL": exporter,
        "COLLECTOR_METRICS_PORT": str(free_port()),
    }


@contextmanager
def collector(
    ports: Ports, exporter: str, log: Path, *beside: Path, binary: str = "", env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run the Collector with `deploy/collector.yaml` for the length of a `with` block, and wait until it is ready.

    Args:
        ports: where it listens.
        exporter: to whom it sends.
        log: what it prints.
        beside: configurations beside that one.
        binary: which Collector, "" for that of `requires_collector`.
        env: what those configurations leave to the environment.
    """
    args = [binary or requires_collector(), *(f"--config={path}" for path in (CONFIG, *beside))]
    with running(args, log, env=variables(ports, exporter) | dict(env or {})) as started:
        started.wait_http(f"http://127.0.0.1:{ports.health}/", 30)
        yield started
