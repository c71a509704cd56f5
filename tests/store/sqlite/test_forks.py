"""A store that was open when its process forked: parent and child use it as any two processes do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from otel_measure.store.sqlite import SqliteStore
from tests.facts import NOON, event

ROOT: Final = Path(__file__).resolve().parents[3]
# Opens a store, forks, and ends; the child writes when it is told to, and closes the store in the end.
FORKING: Final = """
import os, sys
from otel_measure.store.sqlite import SqliteStore
from tests.facts import NOON, event
store = SqliteStore(sys.argv[1])
store.accept([event("parent", "u", NOON)])
store.before_fork()
if os.fork():
    store.after_fork_in_parent()
    if sys.argv[2] == "closes":
        store.close()
    os._exit(0)
store.after_fork_in_child()
for line in sys.stdin:
    store.accept([event(f"child{line.strip()}-{n}", "u", NOON) for n in range(50)])
    print("kept", flush=True)
store.close()
"""


def kept(child: subprocess.Popen[str], number: int) -> str:
    """Have a child write; return what it says."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{number}\n")
    child.stdin.flush()
    return child.stdout.readline()


@pytest.mark.parametrize("parent", ["closes", "is killed"])
def test_a_child_goes_on_when_its_parent_has_ended(parent: str, tmp_path: Path) -> None:
    """Others that come and go beside it neither take the log from it nor begin another: nobody loses anything."""
    path = tmp_path / "x.db"
    child = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(path), parent],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    others = set()
    for number in range(3):
        with closing(SqliteStore(str(path))) as other:
            for part in range(2):
                others |= (ids := {f"other{number}-{part}-{n}" for n in range(50)})
                other.accept([event(each, "v", NOON) for each in ids])
                assert kept(child, 2 * number + part) == "kept\n"
    child.communicate(timeout=60)
    assert not Path(f"{path}-wal").exists()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {name for (name,) in connection.execute("SELECT id FROM event")}
    assert found == {"parent", *others, *(f"child{k}-{n}" for k in range(6) for n in range(50))}
