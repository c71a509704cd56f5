"""Streams are measured while they are read, and closed when they are abandoned."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest

from otel_measure.ai.instrument import MeasuredStream, ModelCall, measured
from tests.ai.measuring import Boom, FakeMeasuring, outcome, recorded


class Stream:
    """What a client library returns."""

    def __init__(self, n: int, error: Exception | None = None) -> None:
        self.n = n
        self.error = error
        self.closed = 0
        self.request_id = "r1"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(self.n):
            yield {"choices": []}
        if self.error is not None:
            raise self.error
        yield {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}

    def close(self) -> None:
        """Count."""
        self.closed += 1


class AsyncStream(Stream):
    """The asynchronous one, whose `close` is a coroutine as in client libraries."""

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        for chunk in self:
            yield chunk

    async def close(self) -> None:  # type: ignore[override]
        """Count."""
        self.closed += 1


def test_a_stream_is_measured_while_it_is_read(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """Chunks, time to the first one, usage from the last; other attributes are its own."""
    source = Stream(2)
    stream = MeasuredStream(source, call())
    assert (len(list(stream)), stream.request_id) == (3, "r1")
    record = recorded(measuring)
    assert (record["output_chunks"], record["usage"].output_tokens) == (3, 5)
    assert (round(record["time_to_first_chunk_ms"], 6), record["latency_ms"]) == (10.0, 20.0)
    assert source.closed >= 1


def test_a_stream_that_fails(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """The error goes on and is recorded once."""
    stream = MeasuredStream(Stream(1, Boom("no")), call())
    with pytest.raises(Boom, match="no"):
        list(stream)
    stream.close()
    assert outcome(measuring) == (1, "Boom")


def test_an_abandoned_stream_is_closed(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """By leaving the loop, by `close`, or by `with`."""
    source = Stream(5)
    for _ in MeasuredStream(source, call()):
        break
    gc.collect()
    assert (source.closed >= 1, outcome(measuring)) == (True, (1, None))
    measuring.records.clear()
    with closing(MeasuredStream(Stream(1), call())):
        pass
    assert outcome(measuring) == (None, None)
    measuring.records.clear()
    with pytest.raises(Boom), MeasuredStream(source, call()):
        raise Boom
    assert outcome(measuring) == (None, "Boom")


def test_an_async_stream(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """Read to its end, abandoned, failing, or left by `async with`: measured once and closed."""

    async def whole() -> AsyncStream:
        source = AsyncStream(2)
        assert len([chunk async for chunk in MeasuredStream(source, call())]) == 3
        return source

    async def abandoned() -> AsyncStream:
        source = AsyncStream(2)
        async with aclosing(aiter(MeasuredStream(source, call()))) as chunks:  # type: ignore[type-var]
            async for _ in chunks:
                break
        return source

    async def failing() -> AsyncStream:
        source = AsyncStream(1, Boom())
        with pytest.raises(Boom):
            async for _ in MeasuredStream(source, call()):
                pass
        return source

    async def left() -> AsyncStream:
        source = AsyncStream(1)
        async with MeasuredStream(source, call()) as stream:
            assert stream.request_id == "r1"
        return source

    for way, expected in ((whole, (3, None)), (abandoned, (1, None)), (failing, (1, "Boom")), (left, (None, None))):
        assert asyncio.run(way()).closed >= 1
        assert outcome(measuring) == expected
        measuring.records.clear()


def test_a_stream_without_close_is_taken(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """A list is a stream, too."""

    async def read() -> None:
        await MeasuredStream([1], call()).aclose()

    assert list(MeasuredStream([1, 2], call())) == [1, 2]
    assert outcome(measuring) == (2, None)
    measuring.records.clear()
    asyncio.run(read())
    assert outcome(measuring) == (None, None)


# ---------------------------------------------------------------- decorated functions that return a stream


def test_a_function_that_returns_a_stream_is_measured_to_its_end(
    measuring: FakeMeasuring, call: Callable[[], ModelCall]
) -> None:
    """A generator that it made, whether it is read by a loop or by `next`: chunks, the first of them, and usage."""
    stream = measured(lambda n: iter(Stream(n)), call)(2)
    assert next(stream) == {"choices": []}
    assert measuring.records == []
    assert len(list(stream)) == 2
    record = recorded(measuring)
    assert (record["output_chunks"], record["usage"].output_tokens) == (3, 5)
    assert (round(record["time_to_first_chunk_ms"], 6), record["latency_ms"]) == (10.0, 20.0)
    with pytest.raises(StopIteration):
        next(stream)


@pytest.mark.parametrize("is_coroutine", [True, False])
def test_a_function_that_returns_an_asynchronous_stream(
    measuring: FakeMeasuring, call: Callable[[], ModelCall], is_coroutine: bool
) -> None:
    """Of a coroutine function, as asynchronous clients have it, and of a plain one."""

    async def opened() -> AsyncIterator[dict[str, Any]]:
        return aiter(AsyncStream(1))

    async def read() -> int:
        stream = await measured(opened, call)() if is_coroutine else measured(lambda: aiter(AsyncStream(1)), call)()
        first = await anext(stream)
        return len([first, *[chunk async for chunk in stream]])

    assert asyncio.run(read()) == 2
    assert outcome(measuring) == (2, None)


def test_a_stream_of_a_function_that_breaks(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """The error of the stream is that of the call, once."""
    with pytest.raises(Boom):
        list(measured(lambda: iter(Stream(1, Boom("no"))), call)())
    assert outcome(measuring) == (1, "Boom")


def test_a_stream_that_nobody_reads_is_a_call(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """It is recorded when it is let go of, without chunks."""
    measured(lambda: iter(Stream(1)), call)()
    gc.collect()
    assert outcome(measuring) == (None, None)


def test_what_is_no_stream_is_returned_as_it_is(
    measuring: FakeMeasuring, call: Callable[[], ModelCall], tmp_path: Path
) -> None:
    """A list, and a file, which has lines and no chunks."""
    with (tmp_path / "a").open("w") as file:
        assert measured(lambda: file, call)() is file
    chunks = [1, 2]
    assert measured(lambda: chunks, call)() is chunks
    assert len(measuring.records) == 2
