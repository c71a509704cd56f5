"""The locks that a fork takes are taken by everybody in its order: else the two wait for each other.

A fork holds them all, one after the other (`Runtime.before_fork`). Whoever has a later one and asks for an earlier one
waits for the fork, which waits for it. No thread has to meet another for that to be seen: the order of one is enough.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from starlette.testclient import TestClient

from otel_measure.definitions.windows import HOUR_US
from otel_measure.records.kinds import Record
from otel_measure.runtime import Runtime
from otel_measure.store.sqlite import SqliteStore
from otel_measure.testing import Clock
from tests.facts import inference, one_of_each
from tests.otlp.requests import Metrics, log_request, record_request, span, span_request
from tests.otlp.requests import event as any_event

RECORDER, SDK, TURN, GATE = ORDER = ("recorder", "sdk", "turn", "gate")
PROTOBUF = {"content-type": "application/x-protobuf"}


class OutOfOrder(NamedTuple):
    """A lock that was asked for by a thread that held a later one."""

    held: str
    asked: str
    where: str


class SeenOrder:
    """Which locks were held when which others were asked for, by whatever thread."""

    def __init__(self) -> None:
        self.pairs: Final[set[tuple[str, str]]] = set()
        self.wrong: Final[list[OutOfOrder]] = []
        self._of_thread = threading.local()

    @property
    def _held(self) -> list[str]:
        held: list[str] = self._of_thread.__dict__.setdefault("held", [])
        return held

    def asks(self, name: str) -> None:
        """Note that this thread waits for a lock, unless it has it."""
        if name not in self._held:
            self.pairs.update((held, name) for held in self._held)
            for held in self._held:
                if ORDER.index(held) > ORDER.index(name):
                    self.wrong.append(OutOfOrder(held, name, "".join(traceback.format_stack(limit=25)[:-2])))

    def has(self, name: str) -> None:
        """Note that this thread has it."""
        self._held.append(name)

    def leaves(self, name: str) -> None:
        """Note that this thread has it no more; whoever took it before anybody looked is not known to have had it."""
        if name in self._held:
            self._held.remove(name)


class SeenLock:
    """A lock whose holders are noted."""

    def __init__(self, lock: Any, name: str, seen: SeenOrder) -> None:
        self._lock, self._name, self._seen = lock, name, seen

    def acquire(self, timeout: float = -1) -> bool:
        """Take it."""
        self._seen.asks(self._name)
        taken: bool = self._lock.acquire(timeout=timeout)
        if taken:
            self._seen.has(self._name)
        return taken

    def release(self) -> None:
        """Let go of it."""
        self._seen.leaves(self._name)
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class SeenGate:
    """A gate whose passers are noted."""

    def __init__(self, gate: Any, seen: SeenOrder) -> None:
        self._gate, self._seen = gate, seen
        self.close, self.open = gate.close, gate.open

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside."""
        self._seen.asks(GATE)
        with self._gate.passing():
            self._seen.has(GATE)
            try:
                yield
            finally:
                self._seen.leaves(GATE)


@pytest.fixture
def seen(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> SeenOrder:
    """What is seen of the locks of the runtime."""
    seen, store = SeenOrder(), runtime.store
    assert isinstance(store, SqliteStore)
    monkeypatch.setattr(runtime.recorder, "_draining", SeenLock(runtime.recorder._draining, RECORDER, seen))
    monkeypatch.setattr(runtime.telemetry, "_inside_sdk", SeenLock(runtime.telemetry._inside_sdk, SDK, seen))
    monkeypatch.setattr(store._database, "_lock", SeenLock(store._database._lock, TURN, seen))
    monkeypatch.setattr(store._database, "_gate", SeenGate(store._database._gate, seen))
    return seen


def _record(runtime: Runtime, records: list[Record]) -> None:
    for record in records:
        runtime.recorder.put(record)
    assert runtime.flush()


def _receive(client: TestClient) -> None:
    for signal, request in (
        ("metrics", Metrics().counter("jobs", 1).gauge("system.memory.usage", 1.0).request),
        ("logs", record_request(one_of_each())),
        ("logs", log_request([any_event("gen_ai.evaluation.result", gen_ai__evaluation__name="x")])),
        ("traces", span_request(span(1), span(2, parent=1))),
    ):
        assert client.post(f"/v1/{signal}", content=request.SerializeToString(), headers=PROTOBUF).status_code == 200


def _ask(client: TestClient) -> None:
    """Ask everything that is asked without naming something."""
    paths = client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        if "get" in methods and "{" not in path:
            client.get(path)
    assert client.get("/api/v1/metrics/ai/models/m/1/drift").status_code in {200, 404}
    assert client.get("/metrics").status_code == 200


def _recur(runtime: Runtime, clock: Clock) -> None:
    """Do everything that recurs, twice: what is found the first time is done the second time."""
    for _ in range(2):
        clock.now_us += HOUR_US
        for job in runtime.background._jobs:
            job.run()
        assert runtime.alerts is not None
        runtime.alerts.run_due()


def _keep(runtime: Runtime, folder: Path) -> None:
    store = runtime.store
    assert store is not None
    runtime.users.identify("visitor-1", "u")
    runtime.users.delete_user("u")
    store.backup(folder / "copy.db", lambda *_: None)
    store.rebuild()
    store.check()


def test_everybody_takes_locks_as_a_fork_does(
    runtime: Runtime, seen: SeenOrder, client: TestClient, clock: Clock, tmp_path: Path
) -> None:
    """Who records, receives, asks, keeps the store and does what recurs asks for no lock before one that it holds."""
    acts: list[Callable[[], object]] = [
        lambda: _record(runtime, [*one_of_each(), *(inference(f"i{n}") for n in range(50))]),
        lambda: _receive(client),
        lambda: _ask(client),
        lambda: _recur(runtime, clock),
        lambda: _keep(runtime, tmp_path),
        lambda: _ask(client),
    ]
    for act in acts:
        act()
    assert seen.wrong == []
    assert {(RECORDER, SDK), (RECORDER, TURN)} <= seen.pairs


def test_a_fork_takes_them_in_this_order(runtime: Runtime, seen: SeenOrder) -> None:
    """From the recorder to the gate, so that who gives has given when who takes is held."""
    runtime.before_fork()
    runtime.after_fork_in_parent()
    assert seen.wrong == []
    assert seen.pairs == {(RECORDER, SDK), (RECORDER, TURN), (SDK, TURN)}
