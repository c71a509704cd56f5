"""Running the server: the end comes in time, whatever is waited for."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.cli import serving
from exporter.cli.serving import Deadline
from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime
from tests.components import free_port
from tests.folders import not_to_be_entered

ROOT = Path(__file__).parents[3]


class Left:
    """Stands for the end of the process and keeps its exit codes."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.happened = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.happened.set()


def test_a_deadline_does_its_last_acts_and_leaves_with_their_code() -> None:
    """When the time is up, the last acts are done once and their result is the exit code."""
    left = Left()
    deadline = Deadline(0.01, lambda: 7, left)
    deadline.start()
    deadline.start()
    assert left.happened.wait(60)
    assert left.codes == [7]


def test_a_deadline_leaves_although_its_last_acts_fail(caplog: pytest.LogCaptureFixture) -> None:
    """Last acts that fail do not keep the process; the log says so and the exit code that something was wrong."""
    left = Left()

    def fail() -> int:
        raise OSError("gone")

    Deadline(0.01, fail, left).start()
    assert left.happened.wait(60)
    assert left.codes == [1]
    assert caplog.messages == ["the last acts before the end failed"]


def test_a_store_that_may_not_be_looked_at(tmp_path: Path) -> None:
    """Is an unusable store like any other, for which the command line has an exit code."""
    settings = Settings(store=str(tmp_path / "measure.db"), port=0)
    with not_to_be_entered(tmp_path), pytest.raises(StoreUnavailable) as raised:
        serving.serve(settings, print, print)
    assert raised.value.cause_name == "permission"


def test_a_process_that_ends_by_itself_has_no_deadline() -> None:
    """A deadline that is cancelled in time does nothing."""
    left = Left()
    deadline = Deadline(0.05, lambda: 7, left)
    deadline.start()
    deadline.cancel()
    deadline._timer.join(60)
    assert left.codes == []


@pytest.mark.parametrize(
    ("endpoint", "sends"),
    [
        (None, False),
        ("http://127.0.0.1:5000", False),
        ("http://localhost:5000/", False),
        ("http://127.0.0.1:4318", True),
        ("http://collector:5000", True),
    ],
)
def test_a_server_does_not_send_to_itself(endpoint: str | None, sends: bool) -> None:
    """In a shell where the variables of its senders are set, it says so and sends nothing on."""
    said: list[str] = []
    settings = serving._not_to_itself(Settings(otlp_endpoint=endpoint), 5000, said.append)
    assert settings.otlp_endpoint == (endpoint if sends else None)
    is_itself = endpoint is not None and not sends
    assert said == ([f"OTEL_EXPORTER_OTLP_ENDPOINT is this very server ({endpoint}): it sends nothing on"] * is_itself)


ENDPOINT_THAT_DOES_NOT_ANSWER = """
import os, signal, sys, threading, time
from otel_measure import Settings, process
from exporter.cli import serving

def announce(url, grpc):
    for number in range(500):
        process.current().users.track_event(number, "click", "x")
    threading.Thread(target=hang_up, daemon=True).start()

def hang_up():
    os.kill(os.getpid(), signal.SIGTERM)

settings = Settings(store=sys.argv[1], otlp_endpoint=sys.argv[2], port=0)
print(serving.serve(settings, announce, print, tidy_up=lambda: print("tidy"), limit_s=0.5))
"""


def test_an_otlp_endpoint_that_does_not_answer_holds_nobody_up(tmp_path: Path) -> None:
    """With a Collector that is down, the process still commits everything, tidies up and leaves in time, with 0."""
    path, endpoint = tmp_path / "a.db", f"http://127.0.0.1:{free_port()}"
    arguments = [sys.executable, "-c", ENDPOINT_THAT_DOES_NOT_ANSWER, str(path), endpoint]
    ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0
    assert ended.stdout.splitlines() in (
        ["stopped after 0.5 s: not everything was sent, the OTLP endpoint does not keep up", "tidy"],
        ["True"],  # it gave up sending by itself
    )
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (500,)
    connection.close()


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("production", []),
        (
            "",
            [
                "answers are about the environment 'production'; what is recorded here is of none, and not among them"
                " (OTEL_MEASURE_ENVIRONMENT=production makes it one)"
            ],
        ),
    ],
)
def test_whose_answers_are(tmp_path: Path, own: str, said: list[str]) -> None:
    """A server without an environment says that what it is told will not be among the answers about production."""
    settings = Settings(store=str(tmp_path / "a.db"), environment=own)
    warned: list[str] = []
    before = Runtime(replace(settings, environment="production"))
    before.infrastructure.register_service("api")
    before.shutdown()
    for runtime in (Runtime(settings), Runtime(replace(settings, store=None))):
        serving.say_whose_answers(runtime, warned.append)
        runtime.shutdown()
    assert warned == said
