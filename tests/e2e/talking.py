"""Programs of tests that are told what to do, and what an exporter says of what arrived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.components import running

PROGRAMS = Path(__file__).parent / "programs"
T = TypeVar("T")


class Program:
    """A program that answers each line of its input with a line of JSON."""

    def __init__(self, *args: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OTEL_METRIC_EXPORT_INTERVAL": "500", **env},
        )

    def tell(self, line: str) -> Any:
        """Give it a line and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self, timeout_s: float = 20.0) -> int:
        """Let it leave in order, and return its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(timeout_s)
        self.close()
        return code

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.wait(10)
        self.close()

    def close(self) -> None:
        """Let go of its pipes."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Exporter:
    """A running exporter, as its clients see it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        """Return the data of an answer of the JSON API."""
        with urllib.request.urlopen(f"{self.url}/api/v1/metrics{path}", timeout=60) as answer:
            return json.load(answer)["data"]

    def model(self, name: str = "gpt-4o") -> Any:
        """Return what is said of the one version of a model, `None` when nothing is."""
        found = [model for model in self.get("/ai/models")["models"] if model["model_name"] == name]
        assert len(found) <= 1
        return found[0] if found else None

    def lines(self, *starts: str) -> list[str]:
        """Return the lines of the exposition that begin so."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            return [line for line in answer.read().decode().splitlines() if line.startswith(starts)]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the series with this name and these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [line for line in self.lines(f"{name}{{") if all(label in line for label in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@contextmanager
def exporter(port: int, store: Path, log: Path, **env: str) -> Iterator[Exporter]:
    """Run `otel-measure serve` for the length of a `with` block."""
    command = ["-m", "exporter.cli", "serve", "--port", str(port), "--store", str(store)]
    with running([sys.executable, *command], log, env=env) as started:
        started.wait_http(f"http://127.0.0.1:{port}/readyz", 120)
        yield Exporter(f"http://127.0.0.1:{port}")


def eventually(ask: Callable[[], T], wanted: Callable[[T], bool], timeout_s: float = 60.0) -> T:
    """Return the first answer that is as wanted, or the last one after the time is over."""
    deadline = time.monotonic() + timeout_s
    while not wanted(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def figures(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what `programs/shop.py` prints, from an answer of the API."""
    if model is None:
        return {}
    latency, cost = model["latency"], model["cost"]
    return {name: latency[name] for name in ("p50_ms", "p95_ms", "p99_ms", "sample_count")} | {
        "total_usd": cost["total_usd"],
        "input_tokens": cost["input_tokens"],
    }
