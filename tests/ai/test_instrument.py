from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from otel_measure.ai.instrument import ModelCall, measured
from otel_measure.ai.usage import Usage
from tests.ai.measuring import ANSWER, READ, Boom, FakeMeasuring, outcome, recorded

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
