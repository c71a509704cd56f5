"""`serve` on a ClickHouse server that hangs, is killed, lets its user only read, or has a full disk."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clickhouse import ClickHouseServer, users_config
from tests.exporter.cli.command_line import StartedServer, run, serving
from tests.waiting import until

pytestmark = pytest.mark.e2e


def refusal(server: StartedServer, user: str) -> str | None:
    """Record an event; return why it is to be sent again, and later, `None` when it was taken."""
    event = {"user_id": user, "event_type": "page_view", "event_name": "home"}
    try:
        server.ask("api/v1/metrics/users/events/track", event)
    except urllib.error.HTTPError as refused:
        if (refused.code, refused.headers["Retry-After"]) == (503, "1"):
            return str(json.loads(refused.read())["message"])
        raise
    return None


def taken(server: StartedServer, user: str) -> bool:
    """Record an event; tell whether it was taken, else it is to be sent again, and later."""
    return refusal(server, user) is None


def fault(server: StartedServer) -> str | None:
    """Return why `/readyz` says that it takes no writes, `None` when it takes them."""
    try:
        assert server.ask("readyz") == {"status": "ready"}
    except urllib.error.HTTPError as refused:
        if refused.code == 503:
            return str(json.loads(refused.read())["message"])
        raise
    return None


def is_ready(server: StartedServer) -> bool:
    """Tell whether it says that it takes writes."""
    return fault(server) is None


def users(server: StartedServer) -> set[str]:
    """Return of whom events are stored, of those that the test has."""
    names = ("before", "nobody", "after the hang", "after the kill", "after all")
    exports = {name: server.ask(f"api/v1/metrics/users/export?user_id={quote(name)}") for name in names}
    return {name for name, export in exports.items() if export["data"]["facts"]}


@contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a disk of a size for the length of a `with` block, or skip the test where nobody may."""
    path.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(path))
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk: run it as root")
    try:
        yield path
    finally:
        subprocess.run(("umount", "--lazy", str(path)), check=True)


def filled(disk: Path) -> Path:
    """Fill a disk with a file; return it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return ballast


def test_what_is_acknowledged_is_there_after_a_hang_a_kill_and_a_user_that_could_only_read(tmp_path: Path) -> None:
    """Meanwhile writes are refused with the time to come again, and it goes on by itself."""
    clickhouse = ClickHouseServer(tmp_path / "server")
    may_write, may_read = (users_config(tmp_path / f"readonly{n}", "app", "secret", readonly=n) for n in (0, 2))
    url = clickhouse.url("measure").replace("://", "://app:secret@")
    with clickhouse.run([may_write]), serving(tmp_path, "--store", url) as server:
        until(lambda: taken(server, "before"))
        clickhouse.hang()
        assert not taken(server, "nobody")
        assert not is_ready(server)
        clickhouse.process.send_signal(signal.SIGCONT)
        until(lambda: is_ready(server))
        until(lambda: taken(server, "after the hang"))
        clickhouse.kill()
        assert not taken(server, "nobody")
        with clickhouse.run([may_read]):
            until(lambda: fault(server) == "store unavailable (read_only); 'otel-measure doctor' tells more")
            message = refusal(server, "nobody")
            assert message == (
                "store unavailable (read_only): measure: Code: 164. DB::Exception: app: Cannot execute query in"
                " readonly mode. (READONLY); use a user whose profile has readonly = 0 (2 is enough to ask)"
            )
            assert users(server) == {"before", "after the hang"}
            clickhouse.kill()
        with clickhouse.run([may_write]):
            until(lambda: is_ready(server))
            until(lambda: taken(server, "after all"))
            assert users(server) == {"before", "after the hang", "after all"}


def test_what_is_acknowledged_is_there_after_the_disk_was_full(tmp_path: Path) -> None:
    """Meanwhile writes are refused, `/readyz` says why, and questions are answered; it goes on when there is space."""
    with small_disk(tmp_path / "disk", 256) as disk:
        clickhouse = ClickHouseServer(disk / "server")
        with clickhouse.run(), serving(tmp_path, "--store", clickhouse.url("measure")) as server:
            until(lambda: taken(server, "before"))
            ballast = filled(disk)
            message = refusal(server, "nobody")
            assert message == (
                "store unavailable (full): measure: Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough"
                " space. (NOT_ENOUGH_SPACE); free disk space on the server; recording goes on by itself afterwards"
            )
            assert fault(server) == "store unavailable (full); 'otel-measure doctor' tells more"
            assert users(server) == {"before"}
            assert server.ask("api/v1/metrics/users/engagement")["data"]["dau"] == 1
            ballast.unlink()
            until(lambda: is_ready(server))
            until(lambda: taken(server, "after all"))
            assert users(server) == {"before", "after all"}


def test_a_wrong_password_ends_it_with_the_way_out(clickhouse: ClickHouseServer) -> None:
    """In one line, and without the password."""
    done = run("serve", "--port", "0", "--store", f"clickhouse://me:secret@127.0.0.1:{clickhouse.http_port}/x")
    assert done.exit_code != 0
    assert "store unavailable (permission)" in done.output
    assert "give the right user and password" in done.output
    assert "secret" not in done.output
