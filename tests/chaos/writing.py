"""Clients that write, each again until it is told that its event is taken, and what a store has of theirs."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path


class Clients:
    """Clients that post events until they are told to stop, each again until it is acknowledged.

    Attributes:
        acknowledged: ids that were answered with success.
        faults: answers that nobody should ever get.
    """

    def __init__(self, url: str, n: int = 8) -> None:
        self._url = url
        self._stop = threading.Event()
        self.acknowledged: list[str] = []
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(n)]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let them post for the length of a `with` block."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            event_id = str(uuid.uuid4())
            while not self._post(event_id):
                if self._stop.is_set():
                    return
                time.sleep(0.01)  # however long: a server that begins anew on a busy machine takes its time
            self.acknowledged.append(event_id)

    def _post(self, event_id: str) -> bool:
        body = {"user_id": 1, "event_type": "click", "event_name": "x", "event_id": event_id}
        request = urllib.request.Request(
            self._url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status) == 201
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503:
                    self.faults.append(f"{error.code}: {error.read()!r}")
            return False
        except OSError:
            return False  # the server has closed the connection, or is not there


def stored(store: Path) -> list[str]:
    """Return the ids of the events in a store."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT id FROM event").fetchall()
    return [str(uuid.UUID(bytes=key)) for (key,) in rows]
