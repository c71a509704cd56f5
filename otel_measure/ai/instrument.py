"""Around a model call, whatever its shape: functions, coroutines, generators, streams.

An exception is recorded with its type and re-raised unchanged; measuring never changes what the caller sees.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, TypeVar, cast

from otel_measure.ai.usage import Usage, UsageReader, read_usage
from otel_measure.limits import MAX_KIND_CHARS

F = TypeVar("F", bound=Callable[..., Any])


class Measuring(Protocol):
    """Checks and records one inference by the keywords of `record_inference`, and what was read off the response."""

    def check(self, model_name: str, model_version: str, **fields: Any) -> None:
        """Raise `ValueError` for what breaks a rule, before the model is called and not when its answer is there."""

    def record(self, model_name: str, model_version: str, latency_ms: float, **fields: Any) -> str | None:
        """Record it and return its id; never raise."""


class Call:
    """One call being measured; made by `ai.inference(...)`, sync and async.

    Attributes:
        inference_id: of the record, set when the call has ended.
    """

    def __init__(
        self,
        measuring: Measuring,
        monotonic: Callable[[], float],
        model: str,
        version: str,
        fields: Mapping[str, object],
    ) -> None:
        self._measuring = measuring
        self._monotonic = monotonic
        self._model = model
        self._version = version
        self._fields: dict[str, Any] = dict(fields)
        self.inference_id: str | None = None
        self._began = 0.0
        self._first_chunk_ms: float | None = None
        self._chunks = 0
        self._reader: UsageReader | None = None
        self._usage = Usage()

    def record_response(self, response: object) -> None:
        """Read tokens, cost and the answering model off a provider's response; what it does not say stays unknown."""
        self._usage = read_usage(response)

    def record_chunk(self, chunk: object) -> None:
        """Count one chunk of a stream, and read what it says of usage."""
        if self._first_chunk_ms is None:
            self._first_chunk_ms = (self._monotonic() - self._began) * 1000
        self._chunks += 1
        self._reader = self._reader or UsageReader()
        self._reader.feed(chunk)

    def set(self, **fields: object) -> None:
        """Set what `record_inference` takes, such as `input_tokens`, `cost_usd` or `prediction`.

        Raises:
            ValueError: an argument breaks its rule.
        """
        self._measuring.check(self._model, self._version, **fields)
        self._fields.update(fields)

    def __enter__(self) -> Call:
        self._began = self._monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # A consumer that stops reading a stream closes it: that is no error of the model.
        if kind is not None and not issubclass(kind, GeneratorExit):
            self._fields.setdefault("error_type", kind.__qualname__[:MAX_KIND_CHARS])
        if self._chunks:
            self._fields.setdefault("time_to_first_chunk_ms", self._first_chunk_ms)
            self._fields.setdefault("output_chunks", self._chunks)
        usage = self._reader.usage if self._reader is not None else self._usage
        latency_ms = (self._monotonic() - self._began) * 1000
        self.inference_id = self._measuring.record(self._model, self._version, latency_ms, usage=usage, **self._fields)

    async def __aenter__(self) -> Call:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def measured(function: F, call: Callable[[], Call]) -> F:
    """Return `function` measured: sync, async, generator and async generator keep their kind."""
    wrap = next((wrap for is_kind, wrap in _KINDS if is_kind(function)), _function)
    return cast(F, functools.wraps(function)(wrap(function, call)))


def _function(function: Callable[..., Any], call: Callable[[], Call]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with call() as measuring:
            result = function(*args, **kwargs)
            measuring.record_response(result)
            return result

    return run


def _coroutine(function: Callable[..., Any], call: Callable[[], Call]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        with call() as measuring:
            result = await function(*args, **kwargs)
            measuring.record_response(result)
            return result

    return run


def _generator(function: Callable[..., Any], call: Callable[[], Call]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _sent_through(function(*args, **kwargs), call))

    return run


def _sent_through(generator: Any, call: Callable[[], Call]) -> Generator[Any, Any, Any]:
    """Relay `send`, `throw` and `close`, as `yield from` would, and see every chunk go by."""
    with call() as measuring:
        resume: Callable[[], Any] = generator.__next__
        while True:
            try:
                chunk = resume()
            except StopIteration as stop:
                return stop.value
            measuring.record_chunk(chunk)
            try:
                sent = yield chunk
            except GeneratorExit:
                generator.close()
                raise
            except BaseException as error:
                resume = functools.partial(generator.throw, error)
            else:
                resume = functools.partial(generator.send, sent)


def _async_generator(function: Callable[..., Any], call: Callable[[], Call]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        stream = function(*args, **kwargs)
        with call() as measuring:
            try:
                async for chunk in stream:
                    measuring.record_chunk(chunk)
                    yield chunk
            finally:
                await stream.aclose()

    return run


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Any]], ...] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
)


class MeasuredStream:
    """A stream that measures itself while it is read: time to first chunk, per chunk; it closes when abandoned.

    Iterates and async-iterates as the stream itself does, and hands every other attribute through.
    """

    def __init__(self, stream: Any, call: Call) -> None:
        self._stream = stream
        self._call = call.__enter__()
        self._done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _finish(self, error: BaseException | None = None) -> None:
        if not self._done:
            self._done = True
            self._call.__exit__(type(error) if error is not None else None, error, None)

    def __iter__(self) -> Iterator[Any]:
        try:
            for chunk in self._stream:
                self._call.record_chunk(chunk)
                yield chunk
        except BaseException as error:
            self._finish(error)
            raise
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for chunk in self._stream:
                self._call.record_chunk(chunk)
                yield chunk
        except BaseException as error:
            self._finish(error)
            raise
        finally:
            await self.aclose()

    def __enter__(self) -> MeasuredStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._finish(error)
        self.close()

    async def __aenter__(self) -> MeasuredStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._finish(error)
        await self.aclose()

    async def aclose(self) -> None:
        """End the measurement and close an asynchronous stream."""
        self._finish()
        close = getattr(self._stream, "aclose", None) or getattr(self._stream, "close", None)
        closing = close() if callable(close) else None
        if inspect.isawaitable(closing):
            await closing

    def close(self) -> None:
        """End the measurement and close the stream."""
        self._finish()
        close = getattr(self._stream, "close", None)
        if callable(close) and not inspect.iscoroutinefunction(close):
            close()
