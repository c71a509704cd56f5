from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from itertools import count
from typing import Any

import pytest

from otel_measure import context
from otel_measure.ai.instrument import MeasuredStream, ModelCall, measured
from otel_measure.ai.usage import Usage
from otel_measure.testing import Capture

ANSWER = {"model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 3, "completion_tokens": 5}}
READ = Usage(input_tokens=3, output_tokens=5, response_model="gpt-4o-2024-08-06")


class Boom(RuntimeError):  # noqa: N818 - as client libraries name theirs
    """What a model raises."""


class FakeMeasuring:
    """Remembers what it is told, and refuses a field named `bad`."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def check(self, model_name: str, model_version: str, **fields: Any) -> None:
        if "bad" in fields:
            raise ValueError("bad must not be given")

    def record(self, model_name: str, model_version: str, latency_ms: float, **fields: Any) -> str | None:
        self.records.append({"model": f"{model_name}/{model_version}", "latency_ms": latency_ms, **fields})
        return f"id {len(self.records)}"


@pytest.fixture
def measuring() -> FakeMeasuring:
    """What calls are recorded by."""
    return FakeMeasuring()


@pytest.fixture
def call(measuring: FakeMeasuring) -> Callable[[], ModelCall]:
    """Make calls whose clock moves on by 10 ms whenever it is read."""
    ticks = count(0.0, 0.01)
    return lambda: ModelCall(measuring, lambda: next(ticks), "m", "1", {"user_id": 7})


def recorded(measuring: FakeMeasuring) -> dict[str, Any]:
    """Return the only record, without what all have, with the latency rounded."""
    (record,) = measuring.records
    assert (record.pop("model"), record.pop("user_id")) == ("m/1", 7)
    return record | {"latency_ms": round(record["latency_ms"], 6)}


# ---------------------------------------------------------------- with


def test_what_happens_inside_is_one_inference(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """Latency by the monotonic clock, usage read off the response, and what was set."""
    with call() as measured_call:
        measured_call.record_response(ANSWER)
        measured_call.set(prediction=False, cost_usd=0.5)
    assert measured_call.inference_id == "id 1"
    assert recorded(measuring) == {"latency_ms": 10.0, "usage": READ, "prediction": False, "cost_usd": 0.5}


def test_async_with_is_the_same(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """Over `await`."""

    async def ask() -> None:
        async with call() as measured_call:
            await asyncio.sleep(0)
            measured_call.record_response(ANSWER)

    asyncio.run(ask())
    assert recorded(measuring) == {"latency_ms": 10.0, "usage": READ}


def test_an_exception_is_recorded_and_goes_on_unchanged(
    measuring: FakeMeasuring, call: Callable[[], ModelCall]
) -> None:
    """The very same object, under its type."""
    boom = Boom("no")
    with pytest.raises(Boom) as raised, call():
        raise boom
    assert raised.value is boom
    assert recorded(measuring) == {"latency_ms": 10.0, "usage": Usage(), "error_type": "Boom"}


def test_an_error_type_that_was_set_stays(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """The caller knows better than the class of the exception; so does one who caught it."""
    with pytest.raises(Boom), call() as measured_call:
        raise Boom(measured_call.set(error_type="rate_limit"))  # type: ignore[func-returns-value]
    assert recorded(measuring)["error_type"] == "rate_limit"


def test_a_long_name_of_an_exception_is_cut(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """A generated class does not cost the record."""
    with pytest.raises(Boom), call():
        raise type("E" * 300, (Boom,), {})
    assert recorded(measuring)["error_type"] == "E" * 256


def test_a_wrong_field_is_refused_where_it_is_set(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """Not when the answer is there; what was right is recorded."""
    with call() as measured_call:
        with pytest.raises(ValueError, match="bad must not be given"):
            measured_call.set(bad=1)
        measured_call.set(cost_usd=1.0)
    assert recorded(measuring) == {"latency_ms": 10.0, "usage": Usage(), "cost_usd": 1.0}


# ---------------------------------------------------------------- decorators


class Shapes:
    """Functions of every shape, as functions and as methods."""

    def __init__(self, call: Callable[[], ModelCall]) -> None:
        self.call = call

    def sync(self, fail: bool = False) -> Any:
        """Answer."""
        if fail:
            raise Boom
        return ANSWER

    async def coroutine(self, fail: bool = False) -> Any:
        """Answer later."""
        await asyncio.sleep(0)
        if fail:
            raise Boom
        return ANSWER

    def generator(self, fail: bool = False) -> Generator[str, str, str]:
        """Answer bit by bit, and take what is sent."""
        got = yield "a"
        if fail:
            raise Boom
        yield f"got {got}"
        return "done"

    async def async_generator(self, fail: bool = False) -> AsyncIterator[str]:
        """Answer bit by bit, later."""
        yield "a"
        if fail:
            raise Boom
        yield "b"


@pytest.fixture
def models(call: Callable[[], ModelCall]) -> Shapes:
    """The methods, each measured."""
    found = Shapes(call)
    for name in ("sync", "coroutine", "generator", "async_generator"):
        setattr(found, name, measured(getattr(found, name), call))
    return found


def outcome(measuring: FakeMeasuring) -> tuple[Any, ...]:
    """Return chunks and error of the only record."""
    record = recorded(measuring)
    return record.get("output_chunks"), record.get("error_type")


def test_a_function(measuring: FakeMeasuring, models: Shapes) -> None:
    """Its result is read and returned as it is."""
    assert models.sync() is ANSWER
    assert recorded(measuring) == {"latency_ms": 10.0, "usage": READ}


def test_a_coroutine_function(measuring: FakeMeasuring, models: Shapes) -> None:
    """Measured until it is done, not until it is made."""
    assert inspect.iscoroutinefunction(models.coroutine)
    assert asyncio.run(models.coroutine()) is ANSWER
    assert recorded(measuring) == {"latency_ms": 10.0, "usage": READ}


def test_a_generator_function(measuring: FakeMeasuring, models: Shapes) -> None:
    """`send` and the returned value go through; the time to the first chunk is taken."""
    assert inspect.isgeneratorfunction(models.generator)
    running = models.generator()
    assert (next(running), running.send("x")) == ("a", "got x")
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == "done"
    assert recorded(measuring) == {
        "latency_ms": 20.0,
        "usage": Usage(),
        "time_to_first_chunk_ms": 10.0,
        "output_chunks": 2,
    }


def test_an_async_generator_function(measuring: FakeMeasuring, models: Shapes) -> None:
    """Every chunk comes through."""
    assert inspect.isasyncgenfunction(models.async_generator)

    async def read() -> list[str]:
        return [chunk async for chunk in models.async_generator()]

    assert asyncio.run(read()) == ["a", "b"]
    assert outcome(measuring) == (2, None)


def test_what_they_raise_goes_on(measuring: FakeMeasuring, models: Shapes) -> None:
    """Whatever the shape: recorded as an error of that type, after the chunks that came."""

    async def read() -> None:
        async for _ in models.async_generator(fail=True):
            pass

    for attempt, chunks in (
        (lambda: models.sync(fail=True), None),
        (lambda: asyncio.run(models.coroutine(fail=True)), None),
        (lambda: list(models.generator(fail=True)), 1),
        (lambda: asyncio.run(read()), 1),
    ):
        with pytest.raises(Boom):
            attempt()
        assert outcome(measuring) == (chunks, "Boom")
        measuring.records.clear()


def test_an_abandoned_generator_is_closed_and_recorded(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """The reader had enough: that is no error of the model."""
    closed = []

    @lambda function: measured(function, call)
    def answer() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    for chunk in answer():
        if chunk == 2:
            break
    gc.collect()
    assert (closed, outcome(measuring)) == ([True], (3, None))


def test_an_abandoned_async_generator_is_closed_and_recorded(
    measuring: FakeMeasuring, call: Callable[[], ModelCall]
) -> None:
    """Likewise."""
    closed = []

    @lambda function: measured(function, call)
    async def answer() -> AsyncIterator[int]:
        try:
            for n in range(100):
                yield n
        finally:
            closed.append(True)

    async def read() -> None:
        async with aclosing(answer()) as stream:
            async for _ in stream:
                break

    asyncio.run(read())
    assert (closed, outcome(measuring)) == ([True], (1, None))


def test_what_is_thrown_into_a_generator_reaches_it(measuring: FakeMeasuring, call: Callable[[], ModelCall]) -> None:
    """It may recover."""

    @lambda function: measured(function, call)
    def answer() -> Iterator[str]:
        try:
            yield "a"
        except Boom:
            yield "recovered"

    running = answer()
    next(running)
    assert running.throw(Boom()) == "recovered"
    assert list(running) == []
    assert outcome(measuring) == (2, None)


def test_a_function_keeps_its_name(call: Callable[[], ModelCall]) -> None:
    """And its docstring and signature."""
    wrapped = measured(Shapes.sync, call)
    assert (wrapped.__name__, wrapped.__doc__) == ("sync", "Answer.")
    assert inspect.signature(wrapped) == inspect.signature(Shapes.sync)


# ---------------------------------------------------------------- streams


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


# ---------------------------------------------------------------- through the service


def test_a_measured_call_is_an_inference_of_its_user() -> None:
    """Recorded with the surrounding user, and found under its id."""
    with Capture() as capture:

        @capture.ai.measure("gpt-4o", "1", operation="chat")
        def answer() -> Any:
            return ANSWER

        with context(user_id="u", session_id="s"):
            assert answer() is ANSWER
            with capture.ai.inference("gpt-4o", "1") as measured_call:
                pass
        list(capture.ai.measure_stream([1], "gpt-4o", "1"))
        found = [found.attributes for found in capture.events()]
    assert [one["gen_ai.request.model"] for one in found] == ["gpt-4o"] * 3
    assert [one.get("user.id") for one in found] == ["u", "u", None]
    assert (found[0]["gen_ai.usage.input_tokens"], found[0]["gen_ai.operation.name"]) == (3, "chat")
    assert found[1]["log.record.uid"] == measured_call.inference_id


@pytest.mark.parametrize("way", ["measure", "inference", "measure_stream"])
def test_a_wrong_argument_is_refused_before_the_model_is_called(way: str) -> None:
    """For a decorator: where it stands."""
    with Capture() as capture:
        given: tuple[Any, ...] = ([1], "", "1") if way == "measure_stream" else ("", "1")
        with pytest.raises(ValueError, match="model_name must be a non-empty string"):
            getattr(capture.ai, way)(*given)


def test_an_answer_is_never_lost_to_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """What we cannot record is a fault of ours and counted; the answer and the model's own error stay."""
    with Capture(raise_faults=False) as capture:
        put = capture.runtime.recorder.put
        monkeypatch.setattr(capture.runtime.recorder, "put", {}.__getitem__)

        @capture.ai.measure("m", "1")
        def answer(fail: bool) -> Any:
            if fail:
                raise Boom("the model's")
            return ANSWER

        assert answer(False) is ANSWER
        with pytest.raises(Boom, match="the model's"):
            answer(True)
        monkeypatch.setattr(capture.runtime.recorder, "put", put)
        answer(False)
        faults = {sample.labels: sample.value for sample in capture.families()["otel_measure.self.errors"].samples}
        assert capture.ai.list_models().total_inferences == 1
    assert [value for labels, value in faults.items() if 'error_type="measuring"' in labels] == [2.0]
