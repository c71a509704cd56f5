from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from otel_measure.errors import StoreUnavailable
from otel_measure.otlp.receive.senders import resource_of
from otel_measure.otlp.send import push as module
from otel_measure.otlp.send.push import HttpPost, Post, PostResponse, Push
from otel_measure.otlp.target import OtlpLogs
from otel_measure.otlp.values import attributes_of
from otel_measure.records.kinds import Origin
from otel_measure.store.sqlite import SqliteStore
from tests.facts import HERE, NOON, event
from tests.store.asking import asked
from tests.waiting import until

OK = PostResponse(200)


class Other:
    """The other side: answers as it is told, and remembers what it has taken.

    Attributes:
        taken: the ids of the events of requests that were a success, and the resource of each.
        asked: how often it was called.
    """

    def __init__(self, answer: Callable[[int, list[str]], PostResponse] = lambda n, ids: OK) -> None:
        self._answer = answer
        self.taken: list[str] = []
        self.resources: list[Any] = []
        self.asked = 0

    def __call__(self, body: bytes, timeout_s: float) -> PostResponse:
        """Take in a request."""
        (sent,) = ExportLogsServiceRequest.FromString(body).resource_logs
        ids = [dict(attributes_of(one.attributes))["log.record.uid"] for one in sent.scope_logs[0].log_records]
        self.asked += 1
        answer = self._answer(self.asked, [str(i) for i in ids])
        if 200 <= answer.status < 300:
            self.taken += [str(i) for i in ids]
            self.resources.append(resource_of(attributes_of(sent.resource.attributes)))
        return answer


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty store whose facts are to leave."""
    opened = SqliteStore(":memory:", notes_outbox=True)
    yield opened
    opened.close()


class Mine:
    """A lease that is always this process's, or never."""

    def __init__(self, mine: bool = True) -> None:
        self._mine = mine

    def take(self) -> bool:
        """Take it."""
        return self._mine

    def give_up(self) -> None:
        """Let another have it."""


def sender(store: SqliteStore, other: Post, **given: Any) -> tuple[Push, Counter[str]]:
    """Return what sends the outbox of a store to the other side, and what it counts."""
    counted: Counter[str] = Counter()

    def count(outcome: str, n: int) -> None:
        counted[outcome] += n

    arguments: dict[str, Any] = {
        "lease": Mine(), "resource": lambda: {"service.instance.id": "i"}, "now_us": lambda: NOON,
        "count": count, "uniform": lambda low, high: high,
    }  # fmt: skip
    return Push(store, other, **(arguments | given)), counted


def test_facts_leave_once_each(store: SqliteStore) -> None:
    """Under the resource of the service that they come from, marked as facts of ours."""
    store.accept([event("a"), event("b", origin=Origin("other"))])
    push, counted = sender(store, other := Other())
    assert push.flush(60)
    assert push.flush(60)
    assert (sorted(other.taken), counted) == (["a", "b"], Counter({"accepted": 2}))
    assert [(r.origin, r.instance, r.has_facts) for r in other.resources] == [
        (HERE, "i", True),
        (Origin("other"), "i", True),
    ]


@pytest.mark.parametrize("status", [0, 301, 401, 403, 404, 429, 500, 502, 503, 504])
def test_what_is_not_taken_stays(store: SqliteStore, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Until the other side is there, or has been told who we are; why is said once."""
    store.accept([event("a")])
    push, counted = sender(store, other := Other(lambda n, ids: PostResponse(status, why="no") if n < 3 else OK))
    with caplog.at_level(logging.WARNING, "otel_measure"):
        assert (push.flush(60), push.flush(60)) == (False, False)
    assert (asked(store, lambda m: m.outbox.length()), counted, len(caplog.records)) == (1, Counter(), 1)
    assert "they stay in the store" in caplog.text
    assert push.flush(60)
    assert (other.taken, counted) == (["a"], Counter({"accepted": 1}))


@pytest.mark.parametrize("status", [400, 413])
def test_a_fact_that_cannot_be_taken_does_not_hold_up_the_others(store: SqliteStore, status: int) -> None:
    """The batch is halved until it stands alone; it is counted and let go."""
    store.accept([event(f"{n:02}") for n in range(20)])
    push, counted = sender(store, other := Other(lambda _, ids: PostResponse(status) if "07" in ids else OK))
    assert push.flush(60)
    assert sorted(other.taken) == [f"{n:02}" for n in range(20) if n != 7]
    assert (counted, asked(store, lambda m: m.outbox.length())) == (Counter({"accepted": 19, "refused": 1}), 0)


def test_a_partial_success_is_final(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    """What was refused is counted and not sent again; the message of the other side is logged."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 1
    answer.partial_success.error_message = "too old"
    store.accept([event("a"), event("b")])
    push, counted = sender(store, Other(lambda *_: PostResponse(200, answer.SerializeToString())))
    with caplog.at_level(logging.WARNING, "otel_measure"):
        assert push.flush(60)
    assert (counted, asked(store, lambda m: m.outbox.length())) == (Counter({"accepted": 1, "refused": 1}), 0)
    assert "1 facts were refused: too old" in caplog.text


def test_a_success_in_another_form(store: SqliteStore) -> None:
    """An answer that is no message of OTLP says that the request was taken all the same."""
    store.accept([event("a")])
    push, counted = sender(store, Other(lambda *_: PostResponse(204, b"ok\xff")))
    assert push.flush(60)
    assert counted == Counter({"accepted": 1})


def test_requests_are_of_a_size_that_receivers_take(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a megabyte each."""
    monkeypatch.setattr(module, "MAX_BYTES", 2000)
    store.accept([event(f"{n:02}", properties={"text": "x" * 300}) for n in range(20)])
    push, _ = sender(store, other := Other())
    assert push.flush(60)
    assert (len(other.taken), other.asked) == (20, 8)


def test_one_process_sends_at_a_time(store: SqliteStore) -> None:
    """Whoever has no lease leaves it to the one that has."""
    store.accept([event("a")])
    push, _ = sender(store, other := Other(), lease=Mine(False))
    assert push.flush(60)
    assert (other.taken, asked(store, lambda m: m.outbox.length())) == ([], 1)


def test_a_flush_keeps_to_its_time(store: SqliteStore) -> None:
    """Also while the thread is in the middle of a request, and when time runs out between two."""
    store.accept([event("a"), event("b", origin=Origin("other"))])
    entered, leave = threading.Event(), threading.Event()

    def slow(n: int, ids: list[str]) -> PostResponse:
        entered.set()
        leave.wait(60)
        return OK

    push, _ = sender(store, Other(slow))
    thread = threading.Thread(target=push.flush, args=(60,))
    thread.start()
    assert entered.wait(60)
    began = time.monotonic()
    assert not push.flush(0.05)
    assert time.monotonic() - began < 30  # the request takes 60
    leave.set()
    thread.join(60)
    store.accept([event("c")])
    assert not push.flush(0)
    assert asked(store, lambda m: m.outbox.length()) == 1


def test_the_thread_backs_off_with_jitter(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 1, 2, 4 … 60 s, at least what the other side asks for; from the first success on it polls again."""
    waits: list[float] = []
    answers = [PostResponse(503), PostResponse(503), PostResponse(503, retry_after_s=30.0), *[PostResponse(0)] * 5]

    class StopLater:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            if len(waits) == 10:
                store.accept([event("late")])
            return len(waits) > 11

    store.accept([event("a")])
    push, _ = sender(store, other := Other(lambda n, ids: answers[n - 1] if n <= len(answers) else OK))
    monkeypatch.setattr(push, "_stop", StopLater())
    push._run()
    assert waits == [1, 1, 2, 30, 8, 16, 32, 60, 60, 1, 1, 1]
    assert other.taken == ["a", "late"]


def test_the_thread_goes_on_whatever_fails(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is as if the other side were away."""
    waits: list[float] = []

    class StopSoon:
        def wait(self, seconds: float) -> bool:
            waits.append(seconds)
            return len(waits) > 3

    def fail() -> None:
        raise ZeroDivisionError("ours")

    push, _ = sender(store, Other())
    monkeypatch.setattr(push, "_stop", StopSoon())
    monkeypatch.setattr(store, "asking", fail)
    push._run()
    assert waits == [1, 1, 2, 4]
    assert "facts do not leave by OTLP (away: ZeroDivisionError('ours'))" in caplog.text
    assert push.flush(1) is False


def test_what_the_other_side_says_of_an_error(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    """The message of its `google.rpc.Status`, or its text."""
    store.accept([event("a")])
    status = Status(code=16, message="a valid token is needed").SerializeToString()
    answers = iter([PostResponse(401, status), PostResponse(403, b"<html>no</html>"), PostResponse(502, b"\xff\xfe")])
    push, _ = sender(store, Other(lambda *_: next(answers)))
    assert [push.flush(60) for _ in range(3)] == [False] * 3
    assert "(401: a valid token is needed)" in caplog.text
    assert "(403: <html>no</html>)" in caplog.text
    assert "(502: \ufffd\ufffd)" in caplog.text


def test_a_partial_success_that_cannot_be(store: SqliteStore) -> None:
    """A number below 0 is none."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = -5
    store.accept([event("a")])
    push, counted = sender(store, Other(lambda *_: PostResponse(200, answer.SerializeToString())))
    assert push.flush(60)
    assert counted == Counter({"accepted": 1})


def test_a_store_that_cannot_be_asked_is_asked_again(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread goes on."""

    def locked() -> None:
        raise StoreUnavailable("locked", "x is locked", "wait")

    push, _ = sender(store, Other())
    monkeypatch.setattr(store, "asking", locked)
    assert not push.flush(1)


def test_the_thread_and_forks(store: SqliteStore) -> None:
    """It starts once, ends when told, and a child has its own."""
    push, _ = sender(store, other := Other())
    push.after_fork_in_child()
    push.start()
    push.start()
    names = [thread.name for thread in threading.enumerate() if thread.name == "otel-measure-push"]
    assert names == ["otel-measure-push"]
    first = push._thread
    push.stop(1.0)
    push.after_fork_in_child()
    assert push._thread is not None
    assert push._thread is not first
    store.accept([event("a")])
    until(lambda: other.taken != [])
    assert other.taken == ["a"]
    push.stop(1.0)
    push._thread.join(60)


# ---------------------------------------------------------------- over HTTP


class Response:
    """An answer of `requests`."""

    status_code = 503
    content = b"later"
    headers = {"Retry-After": "7"}  # noqa: RUF012


def test_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """With headers, compression, certificates and a time-out; redirects are not followed."""
    seen: dict[str, Any] = {}

    def post(session: requests.Session, url: str, **given: Any) -> Response:
        seen.update(given, url=url)
        return Response()

    monkeypatch.setattr(requests.Session, "post", post)
    target = OtlpLogs("http://there/v1/logs", {"authorization": "Bearer x"}, 10.0, "none", "ca.pem", ("c.pem", "k.pem"))
    send = HttpPost(target)
    assert send(b"body", 3.0) == PostResponse(503, b"later", 7.0)
    with monkeypatch.context() as patch:
        patch.setattr(Response, "headers", {"Retry-After": "1" + "0" * 30})
        assert send(b"body", 3.0) == PostResponse(503, b"later", 300.0)
    assert seen == {
        "url": "http://there/v1/logs",
        "data": b"body",
        "headers": {"authorization": "Bearer x", "Content-Type": "application/x-protobuf"},
        "timeout": 3.0,
        "verify": "ca.pem",
        "cert": ("c.pem", "k.pem"),
        "allow_redirects": False,
    }
    send.after_fork_in_child()
    HttpPost(OtlpLogs("http://there", {}))(b"body" * 100, 30.0)
    assert (seen["headers"]["Content-Encoding"], seen["timeout"], seen["verify"]) == ("gzip", 10.0, True)
    assert len(seen["data"]) < 400


def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 0, and why."""

    def post(*_: Any, **__: Any) -> Response:
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests.Session, "post", post)
    assert HttpPost(OtlpLogs("http://there", {}))(b"", 1.0) == PostResponse(0, why="refused")
