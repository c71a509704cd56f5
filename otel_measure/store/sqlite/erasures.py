"""The receipts of erasures, in the store; and whom they were of, as keyed hashes in a file beside it.

A backup of before an erasure still has the person: whoever restores it looks into that file and erases again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from otel_measure.definitions.days import moment
from otel_measure.errors import StoreUnavailable
from otel_measure.records.tombstones import TOMBSTONE_BYTES
from otel_measure.store.types.users import ErasureState

_KEY: Final = "tombstone_key"
_FILE_MODE: Final = 0o600


class ErasedUsers(msgspec.Struct, frozen=True):
    """One erasure: its receipt, when it was (microseconds), and the keyed hashes of the ids."""

    receipt: int
    erased_at: int
    users: tuple[bytes, ...]


class ErasuresFile(msgspec.Struct, frozen=True):
    """All erasures of a store, and the key of the hashes."""

    key: str
    erasures: tuple[ErasedUsers, ...]


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ErasuresFile).decode


# ---------------------------------------------------------------- receipts


def note(connection: sqlite3.Connection, erased_at: int, users: Iterable[bytes]) -> int:
    """Note an erasure and return the number of its receipt."""
    row = connection.execute(
        "INSERT INTO erasure (erased_at, users) VALUES (?, ?) RETURNING receipt", (erased_at, b"".join(users))
    ).fetchone()
    return int(row[0])


def note_again(connection: sqlite3.Connection, known: Iterable[ErasedUsers]) -> None:
    """Note erasures in a restored store, which need not know of all; its bytes are to be cleared anew."""
    connection.executemany(
        "INSERT OR IGNORE INTO erasure (receipt, erased_at, users) VALUES (?, ?, ?)",
        [(one.receipt, one.erased_at, b"".join(one.users)) for one in known],
    )
    connection.execute("UPDATE erasure SET cleared_at = NULL, in_pass = 0")


def state(connection: sqlite3.Connection, receipt: int) -> ErasureState | None:
    """Return what became of an erasure, `None` where there was none with this receipt."""
    select = "SELECT erased_at, cleared_at FROM erasure WHERE receipt = ?"
    row = connection.execute(select, (receipt,)).fetchone() if receipt < 2**63 else None
    if row is None:
        return None
    erased_at, cleared_at = row
    return ErasureState(
        receipt, moment(erased_at), cleared_at is not None, None if cleared_at is None else moment(cleared_at)
    )


def all_of(connection: sqlite3.Connection) -> tuple[ErasedUsers, ...]:
    """Return every erasure, the first one first."""
    rows = connection.execute("SELECT receipt, erased_at, users FROM erasure ORDER BY receipt")
    return tuple(ErasedUsers(receipt, erased_at, _digests(users)) for receipt, erased_at, users in rows)


def _digests(users: bytes) -> tuple[bytes, ...]:
    return tuple(users[i : i + TOMBSTONE_BYTES] for i in range(0, len(users), TOMBSTONE_BYTES))


# ---------------------------------------------------------------- the key


def key(connection: sqlite3.Connection) -> bytes:
    """Return the secret of this store's keyed hashes, made when it is first needed."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_KEY, os.urandom(32).hex()))
    return bytes.fromhex(connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()[0])


def keep_key(connection: sqlite3.Connection, secret: str) -> None:
    """Have a store that has no secret take one."""
    connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_KEY, secret))


# ---------------------------------------------------------------- the file beside the store


def path_of(store: str) -> Path:
    """Return where the erasures of a store lie beside it."""
    return Path(f"{store}-erased")


def write_file(connection: sqlite3.Connection, store: str) -> None:
    """Write all erasures beside the store, for its owner alone; in a write transaction, so that the last one wins."""
    path = path_of(store)
    unfinished = path.with_name(f"{path.name}.new")
    content = _encode(ErasuresFile(key(connection).hex(), all_of(connection)))
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, _FILE_MODE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    os.replace(unfinished, path)


def read_file(store: str) -> ErasuresFile | None:
    """Return the erasures that lie beside a store, `None` for none.

    Raises:
        StoreUnavailable: the file is not what `write_file` writes.
    """
    path = path_of(store)
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise StoreUnavailable("corrupt", f"{path} does not list erasures: {error}", "put back a copy of it") from error
