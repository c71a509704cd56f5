"""Which bytes of a page hold nothing: in files that SQLite has made of random rows, however it deletes."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otel_measure.store.sqlite import pages

SECRET = "zz-erase-me"
TABLES = (
    "CREATE TABLE alias (name TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE) STRICT, WITHOUT ROWID",
    "CREATE TABLE event (id ANY PRIMARY KEY NOT NULL, at INTEGER, text TEXT) STRICT, WITHOUT ROWID",
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, text TEXT) STRICT",
    "CREATE INDEX entry_text ON entry (text)",
)


def made(path: Path, seed: int, page_bytes: int, secure_delete: str) -> list[list[tuple[object, ...]]]:
    """Make a file in which rows came and went, and return those that stay: none of them has the secret."""
    rnd = random.Random(seed)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute(f"PRAGMA secure_delete={secure_delete}")
        for statement in TABLES:
            connection.execute(statement)
        connection.execute("BEGIN")
        for n in range(1500):
            name = f"{SECRET if rnd.random() < 0.2 else 'user'}-{rnd.random()}"
            text = name + "x" * rnd.choice((0, 0, 0, 1, 60, 500, 9000)) + name
            connection.execute("INSERT INTO alias VALUES (?, ?)", (name, n))
            connection.execute("INSERT INTO event VALUES (?, ?, ?)", (rnd.randbytes(16), n, text))
            connection.execute("INSERT INTO entry (text) VALUES (?)", (text,))
            if rnd.random() < 0.3:
                connection.execute("DELETE FROM event WHERE at = ?", (rnd.randrange(n + 1),))
                connection.execute("UPDATE entry SET text = 'short' WHERE seq = ?", (rnd.randrange(n + 1),))
        for table, column in (("alias", "name"), ("event", "text"), ("entry", "text")):
            connection.execute(f"DELETE FROM {table} WHERE {column} LIKE ?", (f"{SECRET}%",))
        connection.execute("COMMIT")
        return rows(connection)


def rows(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Return every row of every table."""
    return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("alias", "event", "entry")]


def clear(path: Path) -> int:
    """Overwrite in a file that nobody uses what nobody reads, and return how many pages that changed."""
    content = bytearray(path.read_bytes())
    header = pages.header_of(bytes(content[:100]))

    def read(number: int) -> bytes:
        return bytes(content[(number - 1) * header.page_bytes : number * header.page_bytes])

    def write(number: int, page: bytes) -> int:
        has_changed = read(number) != page
        content[(number - 1) * header.page_bytes : number * header.page_bytes] = page
        return int(has_changed)

    trunks, free = pages.free_pages(header, read)
    changed = 0
    for number in range(1, header.pages + 1):
        if number in free:
            changed += write(number, bytes(header.page_bytes))
        elif number in trunks:
            changed += write(number, pages.without_rest_of_list(read(number), header))
        else:
            page, overflows = pages.without_rests(number, read(number), header)
            changed += write(number, page)
            for overflow in overflows:
                at, _, end = pages.last_of(overflow, header, read)
                changed += write(at, end)
    path.write_bytes(content)
    return changed


@pytest.mark.parametrize("secure_delete", ["OFF", "ON"])
@pytest.mark.parametrize("page_bytes", [512, 4096, 65536])
@pytest.mark.parametrize("seed", range(3))
def test_what_nobody_reads_is_overwritten(tmp_path: Path, seed: int, page_bytes: int, secure_delete: str) -> None:
    """Nothing of a removed row is left, every other one is as it was, and a second time changes nothing."""
    path = tmp_path / "x.db"
    before = made(path, seed, page_bytes, secure_delete)
    if secure_delete == "OFF":
        assert SECRET.encode() in path.read_bytes()
    assert clear(path) > 0
    assert SECRET.encode() not in path.read_bytes()
    assert clear(path) == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert rows(connection) == before


def test_secure_delete_alone_leaves_copies(tmp_path: Path) -> None:
    """Why all this is done: what SQLite moves while it splits a page stays where it was."""
    path = tmp_path / "x.db"
    copies = 0
    for seed in range(3):
        path.unlink(missing_ok=True)
        made(path, seed, 4096, "ON")
        copies += path.read_bytes().count(SECRET.encode())
    assert copies > 0


HEADER = pages.FileHeader(512, 512, 3, 0)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (bytes([13, 0, 0, 2, 0]), "page 2 has 512 rows"),
        (bytes([13, 0, 0, 0, 1, 0, 0, 0, 0, 2]), "page 2 has rows from 2 to 2"),
        (
            bytes([13, 0, 0, 0, 1, 0, 0, 0, 1, 250]) + bytes(496) + bytes([100, 1]),
            "a row of 102 bytes at 506",
        ),
        (bytes([13, 1, 255, 0, 0]), "page 2 has a free block at 511"),
    ],
)
def test_a_damaged_page(page: bytes, message: str) -> None:
    """A page that is not what the format says is not touched: the error names it."""
    with pytest.raises(pages.Malformed, match=message):
        pages.without_rests(2, page.ljust(512, b"\0"), HEADER)


def test_damaged_lists() -> None:
    """Neither is a file whose list of free pages, or whose row that goes on, leads to nowhere; nor one that is none."""
    header = HEADER._replace(first_trunk=2)
    with pytest.raises(pages.Malformed, match="leads to page 2"):
        pages.free_pages(header, lambda _: bytes([0, 0, 0, 2]).ljust(512, b"\0"))
    with pytest.raises(pages.Malformed, match="page 2 lists 256 free pages"):
        pages.free_pages(header, lambda _: bytes([0, 0, 0, 0, 0, 0, 1, 0]).ljust(512, b"\0"))
    with pytest.raises(pages.Malformed, match="a row goes on at page 0"):
        pages.last_of(pages.Overflow(3, 600), HEADER, lambda _: bytes(512))
    with pytest.raises(pages.Malformed, match="no SQLite database"):
        pages.header_of(bytes(100))
