"""`otel-measure serve`: in process where it is about words, as a real process where it is about life and death."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from exporter.cli import exit_codes
from exporter.cli.ports import listen
from exporter.cli.serve import Banner
from tests.closing import closed_later
from tests.e2e.talking import eventually
from tests.exporter.cli.command_line import EVENT, ROOT, run, serving


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])
def test_the_network_is_not_let_in_without_a_token(host: str) -> None:
    """On an address that others can reach, serve refuses to start and says how to go on."""
    result = run("serve", "--host", host)
    assert result.exit_code == exit_codes.USAGE
    assert result.output == (
        f"otel-measure: {host} can be reached from other machines and no token is set; "
        "set OTEL_MEASURE_TOKEN or --tokens-file, or say --insecure to answer anybody\n"
    )


def test_a_file_of_tokens_that_is_not_text(tmp_path: Path) -> None:
    """A file that holds no text is refused by its name before anything is opened, and its bytes are not shown."""
    path = tmp_path / "tokens"
    path.write_bytes(b"\xff\xfesecret")
    path.chmod(0o600)
    result = run("serve", "--tokens-file", str(path), "--store", str(tmp_path / "a.db"))
    assert result.exit_code == exit_codes.USAGE
    assert result.output == f"otel-measure: {path} holds no text; `otel-measure token new` writes tokens\n"
    assert not (tmp_path / "a.db").exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The message names the holder and `--port`, and no store is made."""
    with listen("127.0.0.1", 0) as sock:
        number = sock.getsockname()[1]
        result = run("serve", "--port", str(number), "--store", str(tmp_path / "a.db"))
    assert result.exit_code == exit_codes.PORT
    assert result.output.startswith(f"otel-measure: port {number} on 127.0.0.1 is taken by pid {os.getpid()} (")
    assert result.output.endswith("); stop it, or take another with --port (0 takes a free one)\n")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    """A store that does not open ends serve with exit code 4 and the way out."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    result = run("serve", "--port", "0", "--store", str(path))
    assert result.exit_code == exit_codes.STORE
    assert result.output == (
        f"otel-measure: store unavailable (foreign): {path} is a text file; "
        "set OTEL_MEASURE_STORE to another path; this file is left as it is\n"
    )


def test_what_is_not_committed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store could not take everything before the end, the exit code tells."""
    monkeypatch.setattr("exporter.cli.serving.serve", lambda *args, **options: False)
    result = run("serve")
    assert result.exit_code == exit_codes.WRONG
    assert result.output == "otel-measure: stopped before everything was committed; the log says what is missing\n"


def test_the_banner_for_people() -> None:
    """For people the banner is a short list that says how to stop."""
    store = "/tmp/a.db (removed at the end)"
    banner = Banner("http://127.0.0.1:5000/", "127.0.0.1:4317", store, "this machine only", True, 1)
    assert banner.text() == (
        "otel-measure is ready\n"
        "  page     http://127.0.0.1:5000/\n"
        "  metrics  http://127.0.0.1:5000/metrics\n"
        "  grpc     127.0.0.1:4317 (OTLP)\n"
        "  store    /tmp/a.db (removed at the end)\n"
        "  access   this machine only\n"
        "  demo     a synthetic workload is running\n"
        "  stop     Ctrl-C"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_commits_and_ends_with_0(number: signal.Signals, tmp_path: Path) -> None:
    """What was written before SIGTERM or Ctrl-C is in the store afterwards, and serve says so; exit code 0, in 10 s."""
    path = tmp_path / "a.db"
    with serving(tmp_path, "--store", str(path)) as server:
        assert server.ask("readyz") == {"status": "ready"}
        server.ask("api/v1/metrics/users/events/track", EVENT)
        exit_code, took_s = server.stop(number)
    assert (exit_code, took_s < 10) == (0, True)
    with closed_later(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
    connection.close()
    assert (tmp_path / "stderr.txt").read_text() == "otel-measure: stopped, everything recorded is committed\n"


def test_the_banner_says_what_one_needs_to_know(tmp_path: Path) -> None:
    """As JSON the banner is one line; the URL in it answers; the default store is in the state directory."""
    with serving(tmp_path) as server:
        assert server.banner == {
            "status": "ready",
            "url": server.banner["url"],
            "grpc": server.banner["grpc"],
            "store": str(tmp_path / "otel-measure" / "measure.db"),
            "access": "this machine only",
            "demo": False,
            "pid": server.process.pid,
        }
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.banner["url"])
        assert server.ask("healthz") == {"status": "ok"}


def test_tokens_of_a_file_are_taken_and_ended_while_the_server_runs(tmp_path: Path) -> None:
    """With a file of tokens serve listens for other machines; two are valid at once, until the line of one is gone."""
    file = tmp_path / "tokens"
    first = made_token(file, "first")
    with serving(tmp_path, "--host", "0.0.0.0", "--tokens-file", str(file)) as server:

        def status(token: str) -> int:
            try:
                return 200 if server.ask("api/v1/metrics/infrastructure/summary", token=token) else 0
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        assert server.banner["access"] == "a token is needed"
        assert (status("guessed"), status(first)) == (401, 200)
        second = made_token(file, "second")
        assert eventually(lambda: status(second), lambda seen: seen == 200) == 200
        assert status(first) == 200
        file.write_text("".join(line for line in file.read_text().splitlines(True) if not line.startswith("first ")))
        assert eventually(lambda: status(first), lambda seen: seen == 401) == 401
        assert status(second) == 200
        file.write_text("not a token\n")
        time.sleep(1.5)
        assert status(second) == 200
    assert "the tokens stay as they were: line 1 of" in (tmp_path / "stderr.txt").read_text()


def made_token(file: Path, name: str) -> str:
    """Return a token that may read, as the command line makes it."""
    result = run("token", "new", name, "--scope", "read", "--file", str(file), "--json")
    assert result.exit_code == 0
    return str(json.loads(result.output)["token"])


def test_insecure_answers_anybody(tmp_path: Path) -> None:
    """`--insecure` is the one way to be open, and the banner says so."""
    with serving(tmp_path, "--host", "0.0.0.0", "--insecure") as server:
        assert server.banner["access"] == "anybody who reaches the port"
        assert server.ask("api/v1/metrics/infrastructure/summary")["status"] == "success"


def test_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """The demo has models and users within seconds, in a store that is gone at the end; the real one is not touched."""
    with serving(tmp_path, "--demo", OTEL_MEASURE_STORE=str(tmp_path / "real.db")) as server:
        assert server.banner["demo"] is True
        folder = Path(server.banner["store"].removesuffix(" (removed at the end)")).parent
        assert folder.parent == tmp_path
        assert folder.is_dir()
        deadline = time.monotonic() + 60
        seen: dict[str, Any] = {}
        while time.monotonic() < deadline and not (seen.get("models") and seen.get("mau")):
            seen = (
                server.ask("api/v1/metrics/ai/models")["data"] | server.ask("api/v1/metrics/users/engagement")["data"]
            )
        assert len(seen["models"]) == 5
        assert seen["mau"] > 0
        assert server.stop()[0] == 0
    assert not folder.exists()
    assert not (tmp_path / "real.db").exists()


SIGNAL_WHILE_THE_STORE_OPENS = """
import os, signal
from exporter.cli.__main__ import main
from otel_measure import process

def adopt(settings, adopt=process.adopt):
    os.kill(os.getpid(), signal.SIGTERM)
    return adopt(settings)

process.adopt = adopt
main(["serve", "--port", "0", "--store", ":memory:"])
"""


def test_a_signal_while_it_starts() -> None:
    """A signal that comes while the store opens ends the server too, with 0 and without a word that it is ready."""
    arguments = [sys.executable, "-c", SIGNAL_WHILE_THE_STORE_OPENS]
    ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    said = "otel-measure: stopped, everything recorded is committed\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", said)
