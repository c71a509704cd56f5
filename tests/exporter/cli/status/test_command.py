"""`otel-measure status`."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from exporter.cli.options import load_settings
from exporter.cli.reading import reading
from exporter.cli.status.command import _show_live
from exporter.cli.status.glance import Glance, glance
from otel_measure.store.sqlite import SqliteStore
from tests.exporter.cli.command_line import ROOT, run, serving
from tests.exporter.cli.seeded import HOSTILE, seed


def test_everything_on_one_screen(tmp_path: Path) -> None:
    """The worst in a sentence, what fires with its cause, machine, services, models, users and experiments."""
    path = tmp_path / "measure.db"
    seed(path)
    result = run("status", "--store", str(path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.fullmatch(
        r"otel-measure\n"
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC · environment unnamed · store .*measure\.db\n"
        r".* is .*, and \d+ more alerts? fires?\.\n"
        r"\n"
        r"Firing  nobody evaluates the rules of this store \(`otel-measure serve` does\)\n"
        r" +What +Value +Cause +Since\n"
        r"(  critical +.*\n)+"
        r"(.*\n)*"
        r"This machine  (healthy|degraded|critical)\n"
        r"  CPU .* · memory .* %.* · disk .* · load .*\n"
        r"\n"
        r"Services\n"
        r"  Service +State +30 days +Target +Budget left +Last outage\n"
        r"  churn +down for \d+ s +.* +churn\n"
        r"\n"
        r"Models  the last 24 hours\n"
        r"  Model .*\n"
        r"  churn  churn +30 +33\.3 % .*\n"
        r"\n"
        r"Users  10 users ever seen, the last 30 days\n"
        r"  10 today · 10 in 7 days · 10 in 28 days · 100 % convert · .* · NPS .*\n"
        r"\n"
        r"Experiments\n"
        r"  Experiment +Verdict .*\n"
        r"  churn +not enough data .*\n",
        result.stdout,
    )
    firing = json.loads(run("status", "--store", str(path), "--json").output)
    assert firing["sentence"].startswith(firing["firing"][0]["sentence"])
    assert {"service", "model"} <= {alert["kind"] for alert in firing["firing"] if alert["subject"] == "churn"}


def test_an_empty_store_says_what_writes_into_it(tmp_path: Path) -> None:
    """Where nothing is recorded stands the line that changes it, whole."""
    path = tmp_path / "measure.db"
    with closing(SqliteStore(str(path))):
        pass
    told = run("status", "--store", str(path)).output
    assert f"\n  OTEL_MEASURE_STORE={path} python -c " in told
    assert "Models  " not in told


def test_hostile_names(tmp_path: Path) -> None:
    """A name cannot move the cursor, here and in the JSON."""
    path = tmp_path / "measure.db"
    seed(path, HOSTILE)
    for args in ((), ("--json",)):
        result = run("status", "--store", str(path), *args)
        assert (result.exit_code, re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", result.output)) == (0, [])
    alert = json.loads(run("status", "--store", str(path), "--json").output)["firing"]
    assert HOSTILE in {one["subject"] for one in alert}


@contextmanager
def on_a_terminal(*args: str, **env: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter.cli", *args],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=clean | {"TERM": "xterm", "COLUMNS": "90", "LINES": "40"} | env,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read(terminal: int, until: str, timeout_s: float = 120.0) -> str:
    """Return what a terminal shows until some text is there."""
    shown, deadline = b"", time.monotonic() + timeout_s
    while until not in shown.decode(errors="replace"):
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{until!r} did not come: {shown!r}"
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
    return shown.decode(errors="replace")


def test_it_lives_beside_a_server_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """While `serve` writes the screen shows it; Ctrl-C gives the terminal back with the last screen and is no error."""
    store = str(tmp_path / "measure.db")
    with serving(tmp_path, "--store", store) as server:
        body = {"model_name": "churn", "model_version": "1", "latency_ms": 5.0}
        server.ask("api/v1/metrics/ai/inferences/record", body)
        with on_a_terminal("status", "--store", store, NO_COLOR="1") as (process, terminal):
            shown = read(terminal, "there is no experiment")
            assert "\x1b[?1049h" in shown
            assert re.search(r"churn +1 +1 +0 %", shown)
            assert "\x1b[31m" not in shown
            process.send_signal(signal.SIGINT)
            rest = read(terminal, "\x00 is never there")
            assert process.wait(60) == 0
        assert "\x1b[?1049l" in rest
        assert "otel-measure" in rest.partition("\x1b[?1049l")[2]
        assert "Traceback" not in rest
        assert len(server.ask("api/v1/metrics/ai/models")["data"]["models"]) == 1


@pytest.mark.parametrize("args", [("--once",), ()])
def test_a_plain_terminal_gets_it_once(tmp_path: Path, args: tuple[str, ...]) -> None:
    """With --once, and on a terminal that can do nothing, it is printed once and that is all."""
    path = tmp_path / "measure.db"
    with closing(SqliteStore(str(path))):
        pass
    with on_a_terminal("status", "--store", str(path), *args, TERM="xterm" if args else "dumb") as (process, terminal):
        shown = read(terminal, "\x00 is never there")
        assert process.wait(60) == 0
    assert "This machine" in shown
    assert "\x1b[?1049h" not in shown


class Swallows:
    """Its end meets a Ctrl-C: what is raised in a `__del__` is raised to nobody."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_a_ctrl_c_that_lands_where_nothing_can_be_raised_ends_it(tmp_path: Path) -> None:
    """A Ctrl-C is seen wherever it lands; from the second on it does what it did before."""
    path = str(tmp_path / "measure.db")
    with closing(SqliteStore(path)):
        pass
    before = signal.getsignal(signal.SIGINT)
    handlers = []
    with reading(load_settings({"store": path})) as (runtime, opened):

        def look() -> Glance:
            if signal.getsignal(signal.SIGINT) is not before:
                Swallows()
                handlers.append(signal.getsignal(signal.SIGINT))
            return glance(runtime, opened, None)

        written = io.StringIO()
        _show_live(Console(file=written, force_terminal=True, width=90, height=40), look, path, every_s=0.001)
    assert handlers == [before]
    assert signal.getsignal(signal.SIGINT) is before
    assert "This machine" in written.getvalue().partition("\x1b[?1049l")[2]
