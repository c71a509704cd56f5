"""The pieces that tests with real processes stand on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import components
from tests.components import RunProcess, free_port, requires_binary, requires_module, running, stop, wait_http

SERVE_FOLDER = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1")


def test_process_answers_and_ends_with_the_block(tmp_path: Path) -> None:
    """A process runs inside the block, its output is kept, and it has ended after the block."""
    (tmp_path / "page").write_text("here", encoding="utf-8")
    port = free_port()
    with running([*SERVE_FOLDER, str(port), "--directory", str(tmp_path)], tmp_path / "log") as server:
        assert server.wait_http(f"http://127.0.0.1:{port}/page") == b"here"
    assert server.process.poll() == -signal.SIGTERM
    assert "GET /page" in server.output()


def test_process_that_ends_early_fails_the_test_with_its_output(run_process: RunProcess) -> None:
    """Waiting for a process that has ended fails at once and shows what it printed and its exit code."""
    started = run_process(
        sys.executable, "-c", "import os; print(os.environ['WHY']); raise SystemExit(3)", WHY="no disk"
    )
    with pytest.raises(pytest.fail.Exception, match=r"exit code 3, it printed:\nno disk\n"):
        started.wait_http(f"http://127.0.0.1:{free_port()}/", timeout_s=30)


def test_process_that_ignores_terminate_is_killed(tmp_path: Path) -> None:
    """A process that does not end on SIGTERM is killed when its time is over."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as ready:
        ready.readline()
        assert stop(process, timeout_s=0.1) == -signal.SIGKILL


def test_a_free_port_is_none_that_an_outgoing_connection_gets() -> None:
    """What a server begins anew on is not taken by a client of another test in between, nor given to another server."""
    given = {free_port() for _ in range(100)}
    assert len(given) == 100
    assert given <= set(range(20_000, 32_768))


def test_nobody_answering_is_a_timeout() -> None:
    """`wait_http` gives up after its time and names the address."""
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(TimeoutError, match=url):
        wait_http(url, timeout_s=0.05)


def test_missing_component_is_skipped_here_and_fails_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing program or module skips the test and says what to install; on CI it fails the test."""
    monkeypatch.setattr(components, "ON_CI", False)
    with pytest.raises(pytest.skip.Exception, match=r"^needs no-such-program: apt-get install its-package$"):
        requires_binary("no-such-program", "its-package")
    with pytest.raises(pytest.skip.Exception, match=r"^needs the Python module no_such_module: pip install its-name$"):
        requires_module("no_such_module", "its-name")
    monkeypatch.setattr(components, "ON_CI", True)
    with pytest.raises(pytest.fail.Exception, match=r"^needs no-such-program: apt-get install its-package "):
        requires_binary("no-such-program", "its-package")
