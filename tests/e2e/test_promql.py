"""Every query of our rules and dashboards, asked of a real Prometheus that reads the demo."""

from __future__ import annotations

import json
import math
import re
import sys
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import pytest

from exporter.promql.alerts import alerts
from exporter.promql.dashboards import DASHBOARDS, RATE_INTERVAL
from exporter.promql.recording import by_key, recordings
from exporter.promql.rules_file import rules_yaml
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.components import RunProcess, free_port, requires_binary, wait_http
from tests.e2e.talking import eventually
from tests.e2e.test_prometheus import post

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
ROOT: Final = Path(__file__).resolve().parents[2]
RECORDINGS: Final = {recording.record: recording.expr for recording in recordings(by_key(ALERT_RULES))}
READINGS: Final[dict[str, Callable[[], object]]] = {
    "system_network_io_bytes_total": lambda: psutil.net_io_counters(pernic=True).keys() - {"lo"},
    "system_disk_io_bytes_total": psutil.disk_io_counters,
}
"""What a machine may have none of, and what it is then."""
_BACK: Final = re.compile(r" offset \d+\w")


def as_if_it_had_been_so(promql: str) -> str:
    """Return a query that reads now where it would read what was, which a young Prometheus does not have."""
    for record, expr in RECORDINGS.items():
        if _BACK.search(expr):
            promql = promql.replace(record, f"({expr})")
    return _BACK.sub("", promql)


def is_number(promql: str) -> bool:
    """Return whether it is no query, but a number."""
    return promql.replace(".", "", 1).isdigit()


def queries() -> Iterator[tuple[str, str]]:
    """Yield every query with a name: panels, recordings, and what alerts compare with what, which health has too."""
    for dashboard in DASHBOARDS:
        for i, query in enumerate(dashboard.queries()):
            asked = query.replace(RATE_INTERVAL, "1m")
            for variable in dashboard.variables:
                asked = asked.replace(f"${variable.name}", ".*")
            yield f"{dashboard.name} {i}", asked
        for variable in dashboard.variables:
            yield f"{dashboard.name} ${variable.name}", f'{variable.series}{{{variable.label}!=""}}'
    for record in RECORDINGS:
        yield record, as_if_it_had_been_so(record)
    for alert in alerts(ALERT_RULES):
        for i, condition in enumerate(alert.conditions):
            yield f"{alert.name} {i}", as_if_it_had_been_so(condition.value)
            if not is_number(condition.bound):
                yield f"{alert.name} {i} bound", condition.bound


def test_every_query_of_rules_and_dashboards_returns_series(run_process: RunProcess, tmp_path: Path) -> None:
    """With the demo, a Prometheus by `deploy/prometheus.yml` has values of every panel, recording and condition."""
    prometheus = requires_binary("prometheus", "prometheus")
    port, its_port = free_port(), free_port()
    url, its_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{its_port}"
    config = (ROOT / "deploy" / "prometheus.yml").read_text("utf-8")
    # An answer may take as long as lies between two scrapes.
    for example, here in (("127.0.0.1:5000", f"127.0.0.1:{port}"), ("15s", "5s"), ("1m", "5s")):
        assert example in config
        config = config.replace(example, here)
    (tmp_path / "prometheus.yml").write_text(config, "utf-8")
    (tmp_path / "otel-measure.rules.yml").write_text(rules_yaml(ALERT_RULES), "utf-8")
    server = run_process(
        *(sys.executable, "-m", "exporter.cli", "serve", "--demo", "--port", str(port), "--grpc-port", "0"),
        OTEL_MEASURE_ENVIRONMENT="demo",
        OTEL_MEASURE_ALERT_INTERVAL_S="5",
    )
    server.wait_http(f"{url}/readyz", 60)
    reader = run_process(
        *(prometheus, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"),
        f"--web.listen-address=127.0.0.1:{its_port}",
    )
    reader.wait_http(f"{its_url}/-/ready", 60)

    def has_values(promql: str) -> bool:
        answer = wait_http(f"{its_url}/api/v1/query?query={urllib.parse.quote(promql)}", 30)
        values = [series["value"][1] for series in json.loads(answer)["data"]["result"]]
        return any(not math.isnan(float(value)) for value in values)

    absent = [series for series, read in READINGS.items() if not read()]
    missing = {name: promql for name, promql in queries() if not any(series in promql for series in absent)}

    def still_missing() -> list[str]:
        be_busy(url)
        for name in [name for name, promql in missing.items() if has_values(promql)]:
            del missing[name]
        return list(missing)

    assert eventually(still_missing, lambda names: not names, 200) == []


def be_busy(url: str) -> None:
    """Call a model of the demo, with and without success, and convert, so that every counter of its grows."""
    call = {"model_name": "gpt-4o", "model_version": "2024-08-06", "latency_ms": 900.0}
    good = {**call, "input_tokens": 900, "output_tokens": 200, "cost_usd": 0.004}
    bad = {**call, "error_type": "timeout"}
    event = {"user_id": "somebody", "event_type": "conversion", "event_name": "conversion"}
    with suppress(urllib.error.HTTPError):  # a server that is too busy refuses; the next turn asks again
        post(f"{url}/api/v1/metrics/ai/inferences/batch", {"inferences": [good, good, bad]})
        post(f"{url}/api/v1/metrics/users/events/track", event)
