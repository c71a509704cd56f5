"""What is taken from under a store that is in use: its log, the end of its file, a page in its middle, its mode."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from otel_measure.config import Settings
from otel_measure.errors import StoreUnavailable
from otel_measure.store.engines import store_checks
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.damage import DamageScan
from otel_measure.store.sqlite.faults import RECOVER
from tests.closing import closed_later
from tests.exporter.cli.command_line import StartedServer, serving
from tests.facts import NOON, event

TRACK: Final = "api/v1/metrics/users/events/track"
PAGE_BYTES: Final = 4096


def posted(server: StartedServer, name: str) -> int:
    """Post an event; return the status of the answer."""
    body = {"user_id": 1, "event_type": "click", "event_name": name, "event_id": name}
    request = urllib.request.Request(
        server.banner["url"] + TRACK, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return status(request)


def status(request: urllib.request.Request | str) -> int:
    """Return the status of the answer."""
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def events(path: Path) -> set[str]:
    """Return the ids of the events that another program finds in a store."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {str(key) for (key,) in connection.execute("SELECT id FROM event")}


def eventually(ask: Callable[[], int], wanted: int, within_s: float = 40.0) -> int:
    """Ask until the answer is the wanted one, or the time is over; return the last answer."""
    until = time.monotonic() + within_s
    while (answer := ask()) != wanted and time.monotonic() < until:
        time.sleep(0.2)
    return answer


def refused(attempt: Callable[[], object]) -> StoreUnavailable:
    """Return why the store cannot be used."""
    with pytest.raises(StoreUnavailable) as raised:
        attempt()
    return raised.value


# ---------------------------------------------------------------- the log


@pytest.mark.timeout(120)
def test_nothing_is_lost_when_the_log_of_a_server_is_removed(tmp_path: Path) -> None:
    """R10: what was acknowledged is moved into the file; writes are refused while another process holds the old log."""
    path = tmp_path / "measure.db"
    with serving(tmp_path, "--store", str(path)) as server:
        with closed_later(sqlite3.connect(path)) as other:
            other.execute("SELECT count(*) FROM event").fetchone()
            before = {f"before-{n}" for n in range(600)}
            assert {posted(server, name) for name in before} == {201}
            os.unlink(f"{path}-wal")
            assert posted(server, "refused") == 503
            assert status(server.banner["url"] + "readyz") == 503
            assert posted(server, "refused") == 503
            assert not os.path.exists(f"{path}-wal")
        other.close()
        assert eventually(lambda: posted(server, "after"), 201) == 201
        assert status(server.banner["url"] + "readyz") == 200
        server.process.kill()
    assert events(path) == {*before, "after"}


def test_a_process_that_comes_later_makes_no_second_log(tmp_path: Path) -> None:
    """While somebody holds the removed log a new process does not start; two logs would overwrite each other."""
    path = tmp_path / "measure.db"
    program = (
        "import sys\n"
        "from otel_measure.store.sqlite import SqliteStore\n"
        "from tests.facts import NOON, event\n"
        "store = SqliteStore(sys.argv[1])\n"
        "store.accept([event('first', 'u', NOON)])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "store.close()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    os.unlink(f"{path}-wal")
    late = refused(lambda: SqliteStore(str(path)))
    assert (late.cause_name, late.what) == ("removed", f"{path}-wal was removed while in use")
    assert not os.path.exists(f"{path}-wal")
    holder.communicate("end\n", 20)
    store = SqliteStore(str(path))
    store.accept([event("second", "u", NOON)])
    store.close()
    assert events(path) == {"first", "second"}


def test_doctor_names_who_holds_a_removed_log(tmp_path: Path) -> None:
    """It says which process that is, looks at nothing that a log would be needed for, and makes none itself."""
    path = tmp_path / "measure.db"
    with serving(tmp_path, "--store", str(path)) as server:
        assert posted(server, "first") == 201
        server.process.send_signal(signal.SIGSTOP)  # it would find out by itself, and let go
        os.waitpid(server.process.pid, os.WUNTRACED)  # until all its threads have stopped
        try:
            os.unlink(f"{path}-wal")
            findings = {check.name: check.look() for check in store_checks(Settings(store=str(path)))}
        finally:
            server.process.send_signal(signal.SIGCONT)
        held = findings["store log"]
        assert held.verdict == "wrong"
        holder = rf"pid {server.process.pid} \(python[\d.]*\)"
        assert re.fullmatch(rf"{re.escape(str(path))}-wal was removed while in use by {holder}", held.what)
        assert "store integrity" not in findings
        assert not os.path.exists(f"{path}-wal")


def test_looking_at_a_store_that_nobody_uses_leaves_nothing_behind(tmp_path: Path) -> None:
    """No log and no shared memory, which would belong to whoever looked, and shut the owner of the store out."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()
    findings = [check.look() for check in store_checks(Settings(store=str(path)))]
    assert {finding.verdict for finding in findings} <= {"ok", "warning"}
    assert os.listdir(tmp_path) == ["measure.db"]


@pytest.mark.parametrize("noticed_by", ["write", "watch"])
def test_who_held_the_log_alone_goes_on_by_itself(noticed_by: str, tmp_path: Path) -> None:
    """The first that notices is refused, and all that was held is in the file; the next opens it anew."""
    path = tmp_path / "measure.db"
    store = SqliteStore(str(path))
    store.accept([event("first", "u", NOON)])
    os.unlink(f"{path}-wal")
    attempt = store.watch if noticed_by == "watch" else lambda: store.accept([event("second", "u", NOON)])
    assert refused(attempt).what == f"{path}-wal was removed while in use"
    store.accept([event("third", "u", NOON)])
    store.close()
    assert events(path) == {"first", "third"}


def test_a_log_that_was_replaced(tmp_path: Path) -> None:
    """Another file in its place is another log."""
    path, log = tmp_path / "measure.db", tmp_path / "measure.db-wal"
    store = SqliteStore(str(path))
    store.accept([event("first", "u", NOON)])
    log.rename(tmp_path / "elsewhere")
    log.touch()
    assert refused(lambda: store.accept([event("second", "u", NOON)])).cause_name == "removed"
    store.close()
    assert events(path) == {"first"}


# ---------------------------------------------------------------- damage


@pytest.fixture
def see_all_in_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at every table at once in this process, however slow the machine is."""
    monkeypatch.setattr("otel_measure.store.sqlite.damage._SLICE_S", 3600.0)


def filled(path: Path) -> None:
    """Make a store of some hundred pages, all of them in its file."""
    store = SqliteStore(str(path))
    store.accept([event(f"e{n}", f"u{n}", NOON, name="x" * 100) for n in range(3000)])
    store.close()
    assert path.stat().st_size > 100 * PAGE_BYTES


def damage_a_table(path: Path) -> None:
    """Overwrite a page in the middle of the table of events."""
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE_BYTES)
        file.write(b"\xa5" * PAGE_BYTES)


def cut(path: Path) -> None:
    """Lose the second half of the file."""
    os.truncate(path, path.stat().st_size // PAGE_BYTES // 2 * PAGE_BYTES)


@pytest.mark.usefixtures("see_all_in_one_look")
@pytest.mark.parametrize("harm", [damage_a_table, cut])
def test_a_damaged_file_is_found_without_a_question_that_meets_it(harm: Callable[[Path], None], tmp_path: Path) -> None:
    """The scan in the background finds it, and from then on `check` says it."""
    path = tmp_path / "measure.db"
    filled(path)
    store = SqliteStore(str(path))
    try:
        harm(path)
        assert refused(store.watch).cause_name == "corrupt"
        told = refused(store.check)
        assert (told.cause_name, told.what.startswith(f"{path}: ")) == ("corrupt", True)
        assert ".recover" in told.way_out
    finally:
        store.close()


def test_the_first_statement_that_meets_damage_tells_all_others(tmp_path: Path) -> None:
    """After one question has failed by it the store is not ready."""
    path = tmp_path / "measure.db"
    filled(path)
    damage_a_table(path)
    store = SqliteStore(str(path))
    store.check()
    assert refused(lambda: store.accept([event("e1", "u", NOON)])).cause_name == "corrupt"
    assert refused(store.check).cause_name == "corrupt"
    store.close()


def told_by_doctor(path: Path) -> set[str]:
    """Return the ways out of all that `doctor` finds wrong with a store."""
    told: set[str] = set()
    for check in store_checks(Settings(store=str(path))):
        try:
            finding = check.look()
        except StoreUnavailable as refusal:
            told.add(refusal.way_out)
        else:
            told |= {finding.way_out} if finding.verdict == "wrong" else set()
    return told


@pytest.mark.parametrize(("harm", "meanwhile"), [(damage_a_table, False), (cut, True)])
@pytest.mark.timeout(120)
def test_a_server_with_a_damaged_store_is_not_ready(
    harm: Callable[[Path], None], meanwhile: bool, tmp_path: Path
) -> None:
    """R10: `/readyz` answers 503, the log and `doctor` name the damage; the file may be cut while it is in use."""
    path = tmp_path / "measure.db"
    filled(path)
    if not meanwhile:
        harm(path)
    with serving(tmp_path, "--store", str(path)) as server:
        ready = server.banner["url"] + "readyz"
        if meanwhile:
            assert status(ready) == 200
            harm(path)
        assert eventually(lambda: status(ready), 503) == 503
    assert "store unavailable (corrupt)" in (tmp_path / "stderr.txt").read_text()
    assert RECOVER in told_by_doctor(path)


@pytest.mark.usefixtures("see_all_in_one_look")
def test_damage_that_one_process_met_is_known_to_all(tmp_path: Path) -> None:
    """To those that run, at their next look, to those that come later, and to `doctor`; not of a file in its place."""
    path = tmp_path / "measure.db"
    filled(path)
    first, second = SqliteStore(str(path)), SqliteStore(str(path))
    damage_a_table(path)
    told = refused(first.watch).what
    for store in (second, closed_later(SqliteStore(str(path)))):
        refusal = refused(store.check)
        assert (refusal.cause_name, refusal.what) == ("corrupt", told)
        assert refusal.way_out == f"{RECOVER}; delete {path}-damage when it is mended in place"
    assert RECOVER in told_by_doctor(path)
    assert stat.S_IMODE(os.stat(f"{path}-damage").st_mode) == 0o600
    for store in (first, second):
        store.close()
    copy = tmp_path / "another.db"
    filled(copy)
    copy.rename(path)
    SqliteStore(str(path)).close()
    with closing(SqliteStore(str(path))) as mended:
        mended.check()


def test_a_scan_rests_for_a_hundred_times_as_long_as_it_looked() -> None:
    """It looks at some tables, rests, goes on where it was, and begins anew a minute after the last one."""
    now_s = 0.0
    seen: list[str] = []

    def trace(statement: str) -> None:
        nonlocal now_s
        if "quick_check" in statement:
            seen.append(statement)
            now_s += 0.03

    scan = DamageScan(lambda: now_s)
    due_s: list[float] = []
    with closing(sqlite3.connect(":memory:")) as connection:
        for n in range(3):
            connection.execute(f"CREATE TABLE t{n} (a)")
        connection.set_trace_callback(trace)
        for _ in range(2):
            assert scan.is_due()
            began_s = now_s
            assert scan.look(connection) == ""
            while not scan.is_due():
                now_s += 0.5
            due_s.append(now_s - began_s)
    assert seen == ["PRAGMA quick_check('t2')", "PRAGMA quick_check('t1')", "PRAGMA quick_check('t0')"]
    assert [round(waited_s) for waited_s in due_s] == [6, 60]


# ---------------------------------------------------------------- files of another user


@pytest.mark.timeout(60)
def test_a_store_of_another_user(tmp_path: Path) -> None:
    """A file that this user may only read is refused, by a process that opens it and by `doctor`, with the way out."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()
    path.chmod(0o444)
    what = f"{path} may not be written by this user"
    told = _as_another_user(path)
    assert told == {"opening": ["read_only", what], "doctor": ["wrong", what]}


def _as_another_user(path: Path) -> dict[str, list[str]]:
    """Return what a child tells that is not root: a fork, since its user need not be able to start our Python."""
    reading, writing = os.pipe()
    folders = [folder for folder in path.parents if folder.stat().st_uid == os.getuid() and folder.name]
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders if os.getuid() == 0 else ():
        folder.chmod(modes[folder] | 0o055)
    _ = store_checks(Settings(store=str(path)))
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            opening = refused(lambda: SqliteStore(str(path)))
            found = {check.name: check.look for check in store_checks(Settings(store=str(path)))}["store writable"]()
            told = {"opening": [opening.cause_name, opening.what], "doctor": [found.verdict, found.what]}
            os.write(writing, json.dumps(told).encode())
        except BaseException as error:
            os.write(writing, json.dumps({"error": [repr(error)]}).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = json.loads(pipe.read())
    os.waitpid(child, 0)
    for folder, mode in modes.items():
        folder.chmod(mode)
    return dict(told)
