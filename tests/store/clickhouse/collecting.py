"""A real Collector that writes what it is sent into ClickHouse, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from tests.clickhouse import ClickHouseServer
from tests.collector import requires_collector
from tests.components import free_port, running
from tests.recordings.sink import SentRequest


class CollectorIntoTables:
    """A Collector whose answer says that what it was sent is in the tables."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, requests: Sequence[SentRequest]) -> None:
        """Send requests, one after the other; metrics to where there is a table for them."""
        for path, content_type, body in requests:
            request = Request(f"{self._url}{path}", body, {"Content-Type": content_type})
            with urlopen(request, timeout=60) as answer:
                assert answer.status == 200


@contextmanager
def collector_into(server: ClickHouseServer, database: str, folder: Path) -> Iterator[CollectorIntoTables]:
    """Run a Collector for the length of a `with` block; it creates its tables in a database that is there."""
    http, health = free_port(), free_port()
    at = f"127.0.0.1:{http}"
    exporter = {
        "endpoint": f"tcp://127.0.0.1:{server.tcp_port}", "database": database, "create_schema": True,
        "async_insert": False, "sending_queue": {"enabled": False},
    }  # fmt: skip
    pipeline = {"receivers": ["otlp"], "exporters": ["clickhouse"]}
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": at}}}},
        "exporters": {"clickhouse": exporter},
        "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
        "service": {
            "extensions": ["health_check"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"logs": pipeline, "traces": pipeline, "metrics": pipeline},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "collector.json"  # YAML has JSON in it
    file.write_text(json.dumps(config), encoding="utf-8")
    with running([requires_collector(), f"--config={file}"], folder / "collector.log") as started:
        started.wait_http(f"http://127.0.0.1:{health}/", 60)
        yield CollectorIntoTables(f"http://{at}")
