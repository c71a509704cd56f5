"""Watching: what counts as down, with real servers, and probes that hang."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otel_measure.infrastructure.watch import Watch, callable_check, http_check
from tests.components import free_port

LOOPBACK = "127.0.0.1"


@contextmanager
def server(*statuses: int, port: int = 0) -> Iterator[str]:
    """Serve answers with these statuses in turn, then the last again and again, and give the address."""
    left = list(statuses)

    class ServiceHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.send_header("location", "/")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        allow_reuse_address = True

    with Server((LOOPBACK, port), ServiceHandler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{serving.server_port}/health"
        finally:
            serving.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine stands between a probe and loopback."""
    monkeypatch.setenv("no_proxy", LOOPBACK)


class SaidStates:
    """What a watch tells, and when there is something new."""

    def __init__(self) -> None:
        self.all: list[str | None] = []
        self._new = threading.Condition()

    def __call__(self, reason: str | None, failing_for_s: float) -> None:
        with self._new:
            self.failing_for_s = failing_for_s
            self.all.append(reason)
            self._new.notify_all()

    def wait(self, n: int) -> list[str | None]:
        """Return the first `n`, once they are there."""
        with self._new:
            assert self._new.wait_for(lambda: len(self.all) >= n, 60), self.all
            return self.all[:n]


@pytest.mark.parametrize(
    ("statuses", "reason"),
    [
        ((200,), None),
        ((204,), None),
        ((302, 200), None),
        ((404,), "HTTP 404 Not Found"),
        ((500,), "HTTP 500 Internal Server Error"),
        ((302, 503), "HTTP 503 Service Unavailable"),
    ],
)
def test_an_answer_below_400_is_up(statuses: tuple[int, ...], reason: str | None) -> None:
    """After redirects the status decides, and is the reason."""
    with server(*statuses) as url:
        assert http_check(url, 5)() == reason


def test_who_does_not_answer_is_down() -> None:
    """Nobody at the port, and somebody who never says anything, are down, with the error as the reason."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        port = silent.getsockname()[1]
        assert http_check(f"http://{LOOPBACK}:{port}/", 0.05)() == "TimeoutError: timed out"
    refused = http_check(f"http://{LOOPBACK}:{port}/", 5)()
    assert refused is not None
    assert refused.startswith("URLError: <urlopen error ")


def failing() -> object:
    """Raise what has no message."""
    raise ConnectionError


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (True, None),
        ("pong", None),
        (False, "the probe returned False"),
        (None, "the probe returned None"),
        ("", "the probe returned ''"),
    ],
)
def test_a_callable_that_returns_something_true_is_up(answer: object, reason: str | None) -> None:
    """Something false is down, and the reason shows it."""
    assert callable_check(lambda: answer)() == reason


def test_a_callable_that_raises_is_down() -> None:
    """The exception is the reason, cut where it is long."""

    def verbose() -> object:
        raise ValueError("x" * 1000)

    assert callable_check(failing)() == "ConnectionError"
    assert callable_check(verbose)() == "ValueError: " + "x" * 188


async def awaited() -> bool:
    """Never called."""
    return True


@pytest.mark.parametrize(
    ("probe", "interval_s", "message"),
    [
        ("ftp://host/", 30, "probe must be an http(s) URL or a callable, not 'ftp://host/'"),
        ("localhost:80", 30, "probe must be an http(s) URL or a callable, not 'localhost:80'"),
        ("http:///path", 30, "probe must be an http(s) URL or a callable, not 'http:///path'"),
        (7, 30, "probe must be an http(s) URL or a callable, not 7"),
        (failing, 0, "interval_s must be a number of seconds above 0 and up to 86400, not 0"),
        (failing, True, "interval_s must be a number of seconds above 0 and up to 86400, not True"),
        (failing, float("nan"), "interval_s must be a number of seconds above 0 and up to 86400, not nan"),
    ],
)
def test_wrong_arguments_are_named(probe: object, interval_s: float, message: str) -> None:
    """A probe that cannot be asked, or an interval that is none, is a `ValueError`."""
    with pytest.raises(ValueError, match="must be") as refused:
        Watch(probe, interval_s, SaidStates())  # type: ignore[arg-type]  # that is the test
    assert str(refused.value) == message


def test_a_coroutine_function_is_refused() -> None:
    """What can only be awaited would look up for ever."""
    with pytest.raises(ValueError, match="probe must be a plain function"):
        callable_check(awaited)


def test_a_server_that_goes_down_and_up_is_told() -> None:
    """The thread asks at once, then at the interval, until it is stopped."""
    said = SaidStates()
    port = free_port()  # one that the system gives to nobody while it is not used
    with server(200, port=port) as url:
        watch = Watch(url, 0.02, said, retry_after_s=0.01)
        watch.start("web")
        assert said.wait(1) == [None]
    seen = len(said.all)
    assert said.wait(seen + 3)[-1] is not None
    with server(200, port=port):
        seen = len(said.all)
        assert said.wait(seen + 3)[-1] is None
        watch.stop()


class PausedClock:
    """Monotonic seconds that tests set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_answer_that_comes_too_late_is_none() -> None:
    """What takes longer than the time-out is down, whatever it says in the end."""
    clock, said = PausedClock(), SaidStates()

    def slow() -> bool:
        clock.now_s += 10.5
        return True

    Watch(slow, 30, said, retries=0, clock=clock).probe()
    assert said.all == ["no answer within 10 s"]


def test_a_probe_that_fails_once_is_asked_again() -> None:
    """One failure is no outage; as many as may be retried are, and it began with the first of them."""
    clock, said = PausedClock(), SaidStates()
    answers = [False, True, False, False, False, False]

    def flaky() -> bool:
        clock.now_s += 1.0
        return answers.pop(0)

    watch = Watch(flaky, 30, said, retries=1, retry_after_s=0.0, clock=clock)
    watch.probe()
    assert (said.all, answers) == ([None], [False] * 4)
    watch.probe()
    assert (said.all[1:], said.failing_for_s) == (["the probe returned False"], 2.0)
    Watch(flaky, 30, said, retries=0, clock=clock).probe()
    assert (said.failing_for_s, answers) == (1.0, [False])


def test_a_watch_that_is_stopped_asks_no_more() -> None:
    """What failed is not asked again, and is told to nobody."""
    said, watches = SaidStates(), list[Watch]()

    def stopping() -> bool:
        watches[0].stop()
        return False

    watches.append(Watch(stopping, 30, said, retries=3))
    watches[0].probe()
    assert said.all == []


@pytest.mark.parametrize("retries", [-1, 11, 1.5, True])
def test_retries_that_cannot_be_are_refused(retries: float) -> None:
    """A whole number from 0 to 10."""
    with pytest.raises(ValueError, match="retries must be a whole number from 0 to 10"):
        Watch("http://localhost/", 30, SaidStates(), retries=retries)  # type: ignore[arg-type]  # that is the test


def test_a_probe_that_hangs_is_told_by_the_heartbeat() -> None:
    """While a question waits for longer than the time-out, each check says down; before, and without one, nothing."""
    clock, said = PausedClock(), SaidStates()
    asked, go_on = threading.Event(), threading.Event()

    def hung() -> bool:
        asked.set()
        return go_on.wait(60)

    watch = Watch(hung, 30, said, clock=clock)
    watch.report_hung()
    thread = threading.Thread(target=watch.probe)
    thread.start()
    assert asked.wait(60)
    watch.report_hung()
    assert said.all == []
    clock.now_s = 10.5
    watch.report_hung()
    assert said.all == ["no answer within 10 s"]
    watch.stop()
    go_on.set()
    thread.join()
    watch.report_hung()
    assert said.all == ["no answer within 10 s"]  # a stopped watch tells nothing
