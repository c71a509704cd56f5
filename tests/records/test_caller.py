from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from opentelemetry import baggage, propagate, trace

from otel_measure import context
from otel_measure.records.caller import Caller, current_caller

SPAN = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))


def test_nobody_by_default() -> None:
    """Outside of a context a record belongs to nobody."""
    assert current_caller() == Caller(None, None, None, None)


def test_a_context_gives_user_and_session() -> None:
    """As long as it lasts; the surrounding one is back after it, also when it ends in an error."""
    with context(user_id=7, session_id="s"):
        assert current_caller() == Caller("7", "s")
        with pytest.raises(ZeroDivisionError), context(user_id="8"):
            _ = 1 / (current_caller() != Caller("8", "s"))
        with context(session_id="t"):
            assert current_caller() == Caller("7", "t")
        assert current_caller() == Caller("7", "s")
    assert current_caller() == Caller()


def test_the_trace_context_is_the_current_span() -> None:
    """As W3C Trace Context writes it."""
    with trace.use_span(SPAN):
        assert current_caller() == Caller(None, None, "0" * 31 + "1", "0" * 15 + "2")


def test_it_reaches_over_await() -> None:
    """Tasks inherit it, and two tasks do not see each other's."""

    async def ask(user: str) -> list[str | None]:
        with context(user_id=user):
            await asyncio.sleep(0)
            before = current_caller().user_id
            nested = await asyncio.create_task(see())
            return [before, nested]

    async def see() -> str | None:
        await asyncio.sleep(0)
        return current_caller().user_id

    async def both() -> list[list[str | None]]:
        return list(await asyncio.gather(ask("a"), ask("b")))

    assert asyncio.run(both()) == [["a", "a"], ["b", "b"]]


def test_it_reaches_threads_started_with_the_context() -> None:
    """By `copy_context().run` and `asyncio.to_thread`; a bare thread begins with nobody."""
    found: list[str | None] = []

    def see() -> None:
        found.append(current_caller().user_id)

    async def in_thread() -> None:
        with context(user_id="c"):
            await asyncio.to_thread(see)

    with context(user_id="a"):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, see).result()
        bare = threading.Thread(target=see)
        bare.start()
        bare.join()
    asyncio.run(in_thread())
    assert found == ["a", None, "c"]


def test_ids_do_not_leave_the_process() -> None:
    """The default propagators carry trace context and baggage: no id is in either."""
    with trace.use_span(SPAN), context(user_id="secret-user", session_id="secret-session"):
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
    assert carrier == {"traceparent": f"00-{1:032x}-{2:016x}-00"}


def test_propagation_sends_a_keyed_hash() -> None:
    """Equal for the same user and key, different for another key, and not the plain hash anybody could look up."""

    def sent(key: bytes) -> dict[str, object]:
        with context(user_id="u", propagate=True, key=key):
            return dict(baggage.get_all())

    assert sent(b"key") == {"otel_measure.user.hash": "74fc58364b1e33d000839b677782f52f"}
    assert sent(b"key") != sent(b"other")


def test_propagation_of_nobody_sends_nothing() -> None:
    """Without a user there is nothing to hash."""
    with context(session_id="s", propagate=True, key=b"key"):
        assert dict(baggage.get_all()) == {}


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"user_id": True}, "user_id must be an int, a UUID or a non-empty string, not True"),
        ({"user_id": ""}, "user_id must be a non-empty string, not ''"),
        ({"session_id": ""}, "session_id must be a non-empty string, not ''"),
        (
            {"user_id": 1, "propagate": True},
            "propagate=True needs key=<secret bytes>: ids leave the process only as a keyed hash",
        ),
    ],
)
def test_a_wrong_argument_is_refused(fields: dict[str, object], rule: str) -> None:
    """At the call, before anything is attached."""
    with pytest.raises(ValueError, match=r"must be|needs") as raised, context(**fields):  # type: ignore[arg-type]
        pass
    assert str(raised.value) == rule
    assert current_caller() == Caller()
