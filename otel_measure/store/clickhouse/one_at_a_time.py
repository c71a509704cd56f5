"""What one process at a time may do: move a store into a database, count it anew there, or move one out into a file.

In a database whoever does it says so every few seconds, as rows of the table `kept`, with the time of the server. The
rows have one order, by which all find the same one to be at it; who was killed says nothing more, and soon another one
may. It is no lease of the small state, which a move replaces, and whose clock stands still while a time is doubted. Of
a file the kernel of the host knows who has it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from otel_measure.errors import StoreUnavailable
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.kept import every_kept

_AT_WORK: Final = "at work"
_OVER_AFTER_US: Final = 60_000_000
_SAID_AGAIN_S: Final = 15.0
_GIVEN_UP: Final = 0
_SAY: Final = (
    "INSERT INTO {db}.kept (name, value) SELECT '"
    + _AT_WORK
    + "', concat(toString(if({goes_on:Bool}, toUnixTimestamp64Micro(now64(6)), 0)), ' ', {said:String})"
)
_FILE_MODE: Final = 0o600
_MOST_BYTES: Final = 500


class SaidAtWork(NamedTuple):
    """What a process has said of itself.

    Attributes:
        at_us: when, by the server; 0 that it has ended.
        token: which process, a random number as text.
        who: the same for a person, with what it does and since when.
    """

    at_us: int
    token: str
    who: str


def at_work(said: Iterable[SaidAtWork]) -> SaidAtWork | None:
    """Return the last word of whoever may work, by what was said in this order; `None` where nobody does."""
    last: SaidAtWork | None = None
    for each in said:
        if last is None or last.token == each.token or each.at_us - last.at_us > _OVER_AFTER_US:
            last = each if each.at_us != _GIVEN_UP else None
    return last


@contextmanager
def alone_in_database(database: ClickHouseDatabase, what: str) -> Iterator[Callable[[], None]]:
    """Let one process at a time do something to a database.

    Args:
        database: has our tables.
        what: it does, for the person who asks.

    Yields:
        what raises `StoreUnavailable` where another process works there now, for this one was stopped, or without the
        server, for longer than a minute.

    Raises:
        StoreUnavailable: another process works there.
    """
    me = SaidAtWork(1, secrets.token_hex(8), _who(what))
    is_lost, is_done = threading.Event(), threading.Event()

    def go_on_saying() -> None:
        while not is_done.wait(_SAID_AGAIN_S):
            with suppress(StoreUnavailable):  # what is done meanwhile meets it too
                _say(database.prompt, me)
                if _other(database.prompt, me) is not None:
                    is_lost.set()

    def refuse_lost() -> None:
        if is_lost.is_set():
            raise StoreUnavailable(
                "busy",
                f"{database.name}: another process has taken this one, which was stopped or heard nothing, for killed",
                "let that one end, then look whether anything is left to do",
            )

    _say(database, me)
    if (other := _other(database, me)) is not None:
        raise _busy(database.name, other.who, "where it was killed, give the command again in a minute")
    saying = threading.Thread(target=go_on_saying, name="otel-measure-at-work", daemon=True)
    saying.start()
    try:
        yield refuse_lost
    finally:
        is_done.set()
        saying.join()
        with suppress(StoreUnavailable):  # then it ends by itself
            _say(database.prompt, me, goes_on=False)


def _say(database: ClickHouseDatabase, me: SaidAtWork, *, goes_on: bool = True) -> None:
    database.run(_SAY, goes_on=goes_on, said=f"{me.token} {me.who}")


def _other(database: ClickHouseDatabase, me: SaidAtWork) -> SaidAtWork | None:
    said = (value.split(" ", 2) for value in every_kept(database, _AT_WORK))
    last = at_work(SaidAtWork(int(at_us), token, who) for at_us, token, who in said)
    return None if last is None or last.token == me.token else last


@contextmanager
def alone_at_file(path: Path, what: str) -> Iterator[None]:
    """Let one process at a time of this host do something that a file stands for, which is there meanwhile.

    Raises:
        StoreUnavailable: another process is at it, or the file cannot be made.
    """
    try:
        descriptor = _locked(path, what)
    except OSError as error:
        raise StoreUnavailable(
            "io", f"{path}: {error.strerror}", "name a file in a folder that can be written"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, what: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):  # and was not removed by who had it until now
                os.truncate(descriptor, 0)
                os.write(descriptor, _who(what).encode())
                return descriptor
        except BlockingIOError:
            who = os.pread(descriptor, _MOST_BYTES, 0).decode()
            os.close(descriptor)
            raise _busy(str(path.parent), who, "it may be given again as soon as that one ends") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _who(what: str) -> str:
    now = datetime.now(UTC).isoformat(" ", "seconds")
    return f"{what}, process {os.getpid()} of {socket.gethostname()}, since {now}"


def _busy(where: str, who: str, otherwise: str) -> StoreUnavailable:
    return StoreUnavailable("busy", f"{where}: another process is at work there ({who})", f"wait for it; {otherwise}")
