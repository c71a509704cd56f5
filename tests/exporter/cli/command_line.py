"""The command line for tests: a command in this process, and a started `otel-measure serve`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result

from exporter.cli.__main__ import main

ROOT = Path(__file__).parents[3]
HEADERS = {"Content-Type": "application/json"}
EVENT = {"user_id": 123, "event_type": "page_view", "event_name": "home_page"}


def run(*args: str, env: dict[str, str] | None = None) -> Result:
    """Run a command in this process, in an environment without settings of this machine."""
    own: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("OTEL_", "XDG_STATE_HOME"))}
    return CliRunner().invoke(main, args, env=own | (env or {}))


class StartedServer:
    """A started `otel-measure serve`."""

    def __init__(self, process: subprocess.Popen[str], banner: dict[str, Any]) -> None:
        self.process = process
        self.banner = banner

    def ask(self, path: str, body: object = None, token: str | None = None) -> Any:
        """Return the JSON answer of a request."""
        headers = HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.banner["url"] + path, content, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code and how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(20), time.monotonic() - began


@contextmanager
def serving(folder: Path, *args: str, **env: str) -> Iterator[StartedServer]:
    """Run `serve` on a free port for the length of a `with` block; yields when it says that it is ready."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_MEASURE_")}
    with (folder / "stderr.txt").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "exporter.cli", "serve", "--port", "0", "--json", *args],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=clean | {"XDG_STATE_HOME": str(folder), "TMPDIR": str(folder)} | env,
        )  # fmt: skip
        try:
            yield StartedServer(process, _banner(process, errors))
        finally:
            process.terminate()
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise


def _banner(process: subprocess.Popen[str], errors: IO[str]) -> dict[str, Any]:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        process.wait(10)
        errors.seek(0)
        pytest.fail(f"serve did not start, exit code {process.returncode}: {errors.read()}")
    return dict(json.loads(line))
