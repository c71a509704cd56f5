"""A real Prometheus over a history that is over: it is written into its database, and asked what it was like."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from exporter.promql.alerts import PromAlert
from exporter.promql.recording import by_key, recordings
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.components import free_port, requires_binary, running
from tests.exporter.promql.scraped import Scrape

_RECORDINGS: Final = {one.record: one.expr for one in recordings(by_key(ALERT_RULES))}
_RECORDED: Final = re.compile("|".join(rf"(?<![\w:]){re.escape(record)}(?![\w:])" for record in _RECORDINGS))
_RANGE_OF_RECORDS: Final = re.compile(r"\)\[(\d+\w)\]")
_SAMPLE: Final = re.compile(r"^([^{ #]+)(?:{(.*)})? (\S+)$", re.MULTILINE)
_NO_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LONGEST_S: Final = 300.0


def without_recordings(promql: str) -> str:
    """Return a query that reads only what is scraped: the rules record now, and not what was."""
    while _RECORDED.search(promql):
        promql = _RECORDED.sub(lambda match: f"({_RECORDINGS[match[0]]})", promql)
    return _RANGE_OF_RECORDS.sub(r")[\1:1m]", promql)


def samples(instance: str, scrapes: Iterable[Scrape]) -> Iterator[str]:
    """Yield each sample of what an instance was scraped, with its time, as OpenMetrics has it."""
    for scrape in scrapes:
        for name, labels, value in _SAMPLE.findall(scrape.text):
            own = ",".join(filter(None, (labels, f'instance="{instance}"')))
            yield f"{name}{{{own}}} {value} {scrape.at.timestamp():.3f}\n"


class BackfilledPrometheus:
    """Answers what a history was like.

    Args:
        url: where it listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def firing(self, alert: PromAlert, at: datetime) -> list[dict[str, str]]:
        """Return the labels of those of whom all conditions of an alert held at a time."""
        asked = {"query": without_recordings(alert.expr), "time": at.timestamp()}
        return [series["metric"] for series in self._ask("query", asked)]

    def times(
        self, alert: PromAlert, first: datetime, last: datetime, step_s: int
    ) -> Iterator[tuple[str, list[float]]]:
        """Yield of each subject when all conditions of an alert held, in seconds since 1970, where it is any time."""
        asked = {
            "query": without_recordings(alert.expr),
            "start": first.timestamp(),
            "end": last.timestamp(),
            "step": step_s,
        }
        for series in self._ask("query_range", asked):
            yield series["metric"].get(alert.subject, ""), [float(at) for at, _ in series["values"]]

    def _ask(self, how: str, asked: dict[str, object]) -> list[Any]:
        question = urllib.parse.urlencode(asked).encode()
        with _NO_PROXY.open(f"{self._url}/api/v1/{how}", question, timeout=_LONGEST_S) as answer:
            result: list[Any] = json.load(answer)["data"]["result"]
        return result


def backfill(lines: Iterable[str], folder: Path) -> None:
    """Write samples into a database of Prometheus, all of them as one block."""
    told = folder / "told.openmetrics"
    with told.open("w", encoding="utf-8") as file:
        file.writelines(lines)
        file.write("# EOF\n")
    promtool = requires_binary("promtool", "prometheus")
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=8760h"]
    done = subprocess.run([*command, str(told), str(folder / "tsdb")], capture_output=True, text=True, check=False)
    told.unlink()
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def backfilled(lines: Iterable[str], folder: Path) -> Iterator[BackfilledPrometheus]:
    """Run a Prometheus that has scraped these samples; it scrapes nothing more and has no rules of its own."""
    prometheus = requires_binary("prometheus", "prometheus")
    backfill(lines, folder)
    (folder / "prometheus.yml").write_text("{}\n", encoding="utf-8")
    port = free_port()
    command = (
        prometheus,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        "--storage.tsdb.retention.time=100y",
        f"--query.timeout={_LONGEST_S:.0f}s",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with running(command, folder / "prometheus.log") as started:
        url = f"http://127.0.0.1:{port}"
        started.wait_http(f"{url}/-/ready", _LONGEST_S)
        yield BackfilledPrometheus(url)
