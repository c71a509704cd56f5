"""`otel-measure compact`."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from exporter.cli import exit_codes
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.bound import used_bytes
from tests.exporter.cli.command_line import run


def test_compact(tmp_path: Path) -> None:
    """It says what the file had, has, and needed."""
    path = tmp_path / "a.db"
    SqliteStore(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(3000000) AS bytes")
        connection.execute("DROP TABLE filler")
        connection.commit()
        needed = 2 * used_bytes(connection) + 16 * 2**20
    before = path.stat().st_size
    answer = json.loads(run("compact", "--store", str(path), "--json").output)
    assert answer == {"store": str(path), "before": before, "after": path.stat().st_size, "needed": needed}
    assert path.stat().st_size < before - 2_900_000
    again = run("compact", "--store", str(path))
    assert again.exit_code == 0
    assert re.fullmatch(
        re.escape(f"{path} had ") + r"\d MiB and has \d MiB; it needed \d+ MiB of free disk\n", again.output
    )


def test_compact_of_nothing(tmp_path: Path) -> None:
    """A store that is not there is not made, and a file of another program is not touched."""
    result = run("compact", "--store", str(tmp_path / "a.db"))
    assert (result.exit_code, list(tmp_path.iterdir())) == (exit_codes.USAGE, [])
    assert result.output.startswith(f"otel-measure: there is no store at {tmp_path / 'a.db'}")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = (tmp_path / "other.db").read_bytes()
    result = run("compact", "--store", str(tmp_path / "other.db"))
    assert (result.exit_code, (tmp_path / "other.db").read_bytes()) == (exit_codes.STORE, before)
    assert run("compact", "--store", "none").exit_code == exit_codes.USAGE
