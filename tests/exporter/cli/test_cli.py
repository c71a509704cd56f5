"""The command line, in process where it is about words and as a real process where it is about life and death."""

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
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result

from exporter.cli import __main__ as cli
from exporter.cli.__main__ import EXIT_PORT, EXIT_STORE, EXIT_USAGE, EXIT_WRONG, main
from exporter.cli.ports import listen
from otel_measure.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[3]
HEADERS = {"Content-Type": "application/json"}
EVENT = {"user_id": 123, "event_type": "page_view", "event_name": "home_page"}


def run(*args: str, env: dict[str, str] | None = None) -> Result:
    """Run a command in this process, in an environment without settings of this machine."""
    own: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("OTEL_", "XDG_STATE_HOME"))}
    return CliRunner().invoke(main, args, env=own | (env or {}))


class Server:
    """A started `otel-measure serve`."""

    def __init__(self, process: subprocess.Popen[str], banner: dict[str, Any]) -> None:
        self.process = process
        self.banner = banner

    def ask(self, path: str, body: object = None, token: str | None = None) -> Any:
        """Return the JSON answer of a request."""
        headers = HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.banner["url"] + path, content, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code and how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(20), time.monotonic() - began


@contextmanager
def serving(folder: Path, *args: str, **env: str) -> Iterator[Server]:
    """Run `serve` on a free port for the length of a `with` block; yields when it says that it is ready."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_MEASURE_")}
    with (folder / "stderr.txt").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "exporter.cli", "serve", "--port", "0", "--json", *args],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=clean | {"XDG_STATE_HOME": str(folder), "TMPDIR": str(folder)} | env,
        )  # fmt: skip
        try:
            yield Server(process, _banner(process, errors))
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


# ---------------------------------------------------------------- words


def test_help_shows_examples_and_exit_codes() -> None:
    """`--help` has what one types first, and every exit code a script may meet."""
    text = run("--help").output
    for line in (
        "otel-measure serve --demo                the same with a synthetic workload to look at",
        "0  done; `serve` was stopped and everything is committed",
        "1  something is wrong: `doctor` says what",
        "2  a wrong argument or setting",
        "3  the port cannot be listened on",
        "4  the store cannot be used",
    ):
        assert line in text
    assert "OTEL_MEASURE_TOKEN=… otel-measure serve --host 0.0.0.0" in run("serve", "--help").output


def test_version() -> None:
    """`--version` names the versions that a bug report needs."""
    pattern = r"otel-measure (\d\S*|\(run from its source, not installed\)), Python 3\.\d+\.\S+, SQLite \d\S*\n"
    result = run("--version")
    assert (result.exit_code, bool(re.fullmatch(pattern, result.output))) == (0, True)


def test_version_of_a_source_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is installed `--version` says so."""

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert run("--version").output.startswith("otel-measure (run from its source, not installed), Python")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org"])
def test_the_network_is_not_let_in_without_a_token(host: str) -> None:
    """On an address that others can reach, serve refuses to start and says how to go on."""
    result = run("serve", "--host", host)
    assert result.exit_code == EXIT_USAGE
    assert result.output == (
        f"otel-measure: {host} can be reached from other machines and no token is set; "
        "set OTEL_MEASURE_TOKEN or --token-file, or say --insecure to answer anybody\n"
    )


def test_a_token_file_that_is_not_text(tmp_path: Path) -> None:
    """A file that holds no text is refused by its name, and its bytes are not shown."""
    path = tmp_path / "token"
    path.write_bytes(b"\xff\xfesecret")
    result = run("serve", "--token-file", str(path))
    assert result.exit_code == EXIT_USAGE
    assert (
        result.output
        == f"otel-measure: the token file {path} holds no UTF-8 text; write the token into it as one line\n"
    )


def test_a_setting_that_is_not_one() -> None:
    """A bad setting of the environment is named, with exit code 2."""
    result = run("serve", env={"OTEL_MEASURE_PROT": "1"})
    assert result.exit_code == EXIT_USAGE
    assert result.output.startswith("otel-measure: unknown setting 'prot' (environment variable OTEL_MEASURE_PROT)")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The message names the holder and `--port`, and no store is made."""
    with listen("127.0.0.1", 0) as sock:
        number = sock.getsockname()[1]
        result = run("serve", "--port", str(number), "--store", str(tmp_path / "a.db"))
    assert result.exit_code == EXIT_PORT
    assert result.output.startswith(f"otel-measure: port {number} on 127.0.0.1 is taken by pid {os.getpid()} (")
    assert result.output.endswith(f"); stop it or take another: --port {number % 65535 + 1}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_used(tmp_path: Path) -> None:
    """A store that does not open ends serve with exit code 4 and the way out."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    result = run("serve", "--port", "0", "--store", str(path))
    assert result.exit_code == EXIT_STORE
    assert result.output == (
        f"otel-measure: store unavailable (corrupt): {path}: file is not a database; "
        "the file is something else: set OTEL_MEASURE_STORE to another path\n"
    )


def test_doctor_finds_nothing_wrong(tmp_path: Path) -> None:
    """Where all is well doctor exits with 0, and its JSON has every finding in full."""
    result = run("doctor", "--json", "--port", "0", "--store", str(tmp_path / "a.db"))
    answer = json.loads(result.output)
    assert (result.exit_code, answer["ok"]) == (0, True)
    assert answer["findings"][0] == {
        "check": "store",
        "verdict": "ok",
        "what": f"{tmp_path / 'a.db'}, made at the first start",
        "way_out": "",
    }


def test_doctor_finds_something_wrong(tmp_path: Path) -> None:
    """What is wrong stands in the table with its way out, and the exit code is 1."""
    result = run("doctor", "--port", "0", "--store", str(tmp_path))
    assert result.exit_code == EXIT_WRONG
    row = next(line for line in result.output.splitlines() if line.startswith("store "))
    assert row.split(maxsplit=2)[1] == "wrong"
    assert f"{tmp_path} is a directory" in row
    assert row.rstrip().endswith("set OTEL_MEASURE_STORE to a file in it")


def test_rebuild_in_another_zone(tmp_path: Path) -> None:
    """`rebuild --timezone` moves the days of a store, which then opens with that zone only."""
    path = tmp_path / "a.db"
    SqliteStore(str(path)).close()
    result = run("rebuild", "--store", str(path), "--timezone", "Asia/Kathmandu", "--json")
    answer = json.loads(result.output)
    assert (result.exit_code, answer["store"], answer["timezone"]) == (0, str(path), "Asia/Kathmandu")
    SqliteStore(str(path), timezone="Asia/Kathmandu").close()
    again = run("rebuild", "--store", str(path))
    assert again.exit_code == 0
    assert re.fullmatch(re.escape(f"rebuilt {path} with the days of Asia/Kathmandu in ") + r"\d+\.\d s\n", again.output)


def test_rebuild_of_nothing(tmp_path: Path) -> None:
    """A store that is not there is not made by rebuilding it."""
    result = run("rebuild", "--store", str(tmp_path / "a.db"))
    assert result.exit_code == EXIT_USAGE
    assert result.output == (
        f"otel-measure: there is no store at {tmp_path / 'a.db'}; name one with --store or OTEL_MEASURE_STORE\n"
    )
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- life and death


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_commits_and_ends_with_0(number: signal.Signals, tmp_path: Path) -> None:
    """What was written before SIGTERM or Ctrl-C is in the store afterwards; the exit code is 0, within 10 s."""
    path = tmp_path / "a.db"
    with serving(tmp_path, "--store", str(path)) as server:
        assert server.ask("readyz") == {"status": "ready"}
        server.ask("api/v1/metrics/users/events/track", EVENT)
        exit_code, took_s = server.stop(number)
    assert (exit_code, took_s < 10) == (0, True)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
    connection.close()
    assert (tmp_path / "stderr.txt").read_text() == ""


def test_the_banner_says_what_one_needs_to_know(tmp_path: Path) -> None:
    """As JSON the banner is one line; the URL in it answers; the default store is in the state directory."""
    with serving(tmp_path) as server:
        assert server.banner == {
            "status": "ready",
            "url": server.banner["url"],
            "store": str(tmp_path / "otel-measure" / "measure.db"),
            "access": "this machine only",
            "demo": False,
            "pid": server.process.pid,
        }
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", server.banner["url"])
        assert server.ask("healthz") == {"status": "ok"}


def test_the_banner_for_people() -> None:
    """For people the banner is a short list that says how to stop."""
    banner = cli.Banner("http://127.0.0.1:5000/", "/tmp/a.db (removed at the end)", "this machine only", True, 1)
    assert banner.text() == (
        "otel-measure is ready\n"
        "  page     http://127.0.0.1:5000/\n"
        "  metrics  http://127.0.0.1:5000/metrics\n"
        "  store    /tmp/a.db (removed at the end)\n"
        "  access   this machine only\n"
        "  demo     a synthetic workload is running\n"
        "  stop     Ctrl-C"
    )


def test_a_token_from_a_file_opens_the_network(tmp_path: Path) -> None:
    """With a token serve listens for other machines, and answers those who have it."""
    (tmp_path / "token").write_text("s3cret\n")
    with serving(tmp_path, "--host", "0.0.0.0", "--token-file", str(tmp_path / "token")) as server:
        assert server.banner["access"] == "a token is needed"
        path = "api/v1/metrics/infrastructure/summary"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            server.ask(path)
        assert server.ask(path, token="s3cret")["status"] == "success"


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
        deadline = time.monotonic() + 30
        seen: dict[str, Any] = {}
        while time.monotonic() < deadline and not (seen.get("models") and seen.get("mau")):
            seen = (
                server.ask("api/v1/metrics/ai/models")["data"] | server.ask("api/v1/metrics/users/engagement")["data"]
            )
        assert seen["total_models"] == 5
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
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_what_is_not_committed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store could not take everything before the end, the exit code tells."""
    monkeypatch.setattr("exporter.cli.serve.serve", lambda *args, **options: False)
    result = run("serve")
    assert result.exit_code == EXIT_WRONG
    assert result.output == "otel-measure: stopped before everything was committed; the log says what is missing\n"
