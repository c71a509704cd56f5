"""`otel-measure backup` and `otel-measure restore`."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

from exporter.cli import exit_codes
from otel_measure.store.sqlite import SqliteStore
from tests.exporter.cli.command_line import EVENT, run, serving
from tests.facts import event

USERS = "api/v1/metrics/users"


def made(path: Path) -> Path:
    """Make a store with one event."""
    store = SqliteStore(str(path))
    store.accept([event("1")])
    store.close()
    return path


def test_beside_a_server(tmp_path: Path) -> None:
    """A backup is taken while it serves, and put back when it does not: what came and who was erased since is gone."""
    store, copy = tmp_path / "a.db", tmp_path / "b.db"
    with serving(tmp_path, "--store", str(store)) as server:
        server.ask(f"{USERS}/events/track", EVENT | {"user_id": "ann"})
        server.ask(f"{USERS}/events/track", EVENT | {"user_id": "bob"})
        taken = run("backup", str(copy), "--store", str(store))
        assert taken.exit_code == 0, taken.output
        told = re.escape(f"{copy} has {store} as of now, ") + r"\d\.\d MiB, read again and whole\n"
        assert re.fullmatch(told, taken.output)
        server.ask(f"{USERS}/events/track", EVENT | {"user_id": "carl"})
        refused = run("restore", str(copy), "--store", str(store))
        assert refused.exit_code == exit_codes.STORE
        assert refused.output == (
            f"otel-measure: store unavailable (in_use): {store} is used by another process;"
            " stop every process that uses it, then restore again\n"
        )
        assert server.ask(f"{USERS}/summary")["data"]["total_users"] == 3
    erasing = SqliteStore(str(store))
    erasing.erase("bob", time.time_ns() // 1000)
    erasing.close()
    back = run("restore", str(copy), "--store", str(store))
    assert (back.exit_code, back.output) == (0, f"{store} is what {copy} was; 1 erased since are erased again\n")
    with serving(tmp_path, "--store", str(store)) as server:
        assert server.ask(f"{USERS}/summary")["data"]["total_users"] == 1
    assert b"bob" not in store.read_bytes()


def test_a_folder_of_backups(tmp_path: Path) -> None:
    """Gets them under their time, keeps the last, and keeps whatever else is in it."""
    store, folder = made(tmp_path / "a.db"), tmp_path / "backups"
    folder.mkdir()
    older = [f"otel-measure-2026010{day}T000000Z.db" for day in (1, 2, 3)]
    for name in (*older, f"{older[0]}.sha256", "mine.db", "otel-measure-2026.db"):
        (folder / name).write_text("")
    answer = json.loads(run("backup", str(folder), "--keep", "2", "--store", str(store), "--json").output)
    new = Path(answer["backup"])
    assert re.fullmatch(r"otel-measure-\d{8}T\d{6}Z\.db", new.name)
    assert answer == {
        "backup": str(new), "bytes": new.stat().st_size, "sha256": answer["sha256"], "removed": older[:2],
    }  # fmt: skip
    assert sorted(os.listdir(folder)) == sorted(
        ["mine.db", "otel-measure-2026.db", older[2], new.name, f"{new.name}.sha256"]
    )
    told = json.loads(run("restore", str(new), "--store", str(tmp_path / "n.db"), "--json").output)
    assert told == {"store": str(tmp_path / "n.db"), "bytes": new.stat().st_size, "erased": 0}


def test_what_is_refused(tmp_path: Path) -> None:
    """A store that is not there, `--keep` for a file, a name that is taken; nothing is written."""
    store = made(tmp_path / "a.db")
    for arguments, code, message in (
        (("backup", "b.db", "--store", str(tmp_path / "x.db")), exit_codes.USAGE, "there is no store at"),
        (
            ("backup", "b.db", "--keep", "3", "--store", str(store)),
            exit_codes.USAGE,
            "--keep is for a folder, which b.db is",
        ),
        (("backup", str(store), "--store", str(store)), exit_codes.STORE, "a.db is there already"),
        (
            ("restore", str(tmp_path / "x.db"), "--store", str(store)),
            exit_codes.STORE,
            "x.db is not there, or holds nothing",
        ),
    ):
        result = run(*arguments)
        assert (result.exit_code, message in result.output) == (code, True), result.output
    assert os.listdir(tmp_path) == ["a.db"]
