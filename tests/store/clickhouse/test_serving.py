"""`serve` on a ClickHouse server that hangs, is killed and starts again."""

from __future__ import annotations

import signal
import urllib.error
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clickhouse import ClickHouseServer
from tests.exporter.cli.command_line import StartedServer, run, serving
from tests.waiting import until

pytestmark = pytest.mark.e2e


def taken(server: StartedServer, user: str) -> bool:
    """Record an event; tell whether it was taken, else it is to be sent again, and later."""
    event = {"user_id": user, "event_type": "page_view", "event_name": "home"}
    try:
        server.ask("api/v1/metrics/users/events/track", event)
    except urllib.error.HTTPError as refusal:
        if (refusal.code, refusal.headers["Retry-After"]) == (503, "1"):
            return False
        raise
    return True


def is_ready(server: StartedServer) -> bool:
    """Tell whether it says that it takes writes."""
    try:
        return bool(server.ask("readyz") == {"status": "ready"})
    except urllib.error.HTTPError as refusal:
        if refusal.code == 503:
            return False
        raise


def users(server: StartedServer) -> set[str]:
    """Return of whom events are stored, of those that the test has."""
    names = ("before", "nobody", "after the hang", "after the kill")
    exports = {name: server.ask(f"api/v1/metrics/users/export?user_id={quote(name)}") for name in names}
    return {name for name, export in exports.items() if export["data"]["facts"]}


def test_what_is_acknowledged_is_there_after_a_hang_and_a_kill(tmp_path: Path) -> None:
    """Meanwhile writes are refused with the time to come again, and it goes on by itself."""
    clickhouse = ClickHouseServer(tmp_path / "server")
    with clickhouse.run(), serving(tmp_path, "--store", clickhouse.url("measure")) as server:
        until(lambda: taken(server, "before"))
        clickhouse.process.send_signal(signal.SIGSTOP)
        assert not taken(server, "nobody")
        assert not is_ready(server)
        clickhouse.process.send_signal(signal.SIGCONT)
        until(lambda: is_ready(server))
        until(lambda: taken(server, "after the hang"))
        clickhouse.kill()
        assert not taken(server, "nobody")
        with clickhouse.run():
            until(lambda: is_ready(server))
            until(lambda: taken(server, "after the kill"))
            assert {"before", "after the hang", "after the kill"} <= users(server)


def test_a_wrong_password_ends_it_with_the_way_out(clickhouse: ClickHouseServer) -> None:
    """In one line, and without the password."""
    done = run("serve", "--port", "0", "--store", f"clickhouse://me:secret@127.0.0.1:{clickhouse.http_port}/x")
    assert done.exit_code != 0
    assert "store unavailable (permission)" in done.output
    assert "give the right user and password" in done.output
    assert "secret" not in done.output
