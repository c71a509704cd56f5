"""Around a model call, whatever its shape: functions, coroutines, generators, streams.

An exception is recorded with its type and re-raised unchanged; measuring never changes what the caller sees.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import IOBase
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, cast

from otel_measure.ai.spans import names_said, usage_of
from otel_measure.ai.usage import Usage, UsageReader, read_usage
from otel_measure.definitions.model_ties import ModelNames, are_tied
from otel_measure.records.caller import Caller, EnclosingCall
from otel_measure.records.kinds import Json
from otel_measure.records.limits import MAX_LABEL_CHARS

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")  # a chunk of a stream


class Measuring(Protocol):
    """Checks and records one inference by the keywords of `record_inference`, and what was read off the response."""

    def check(self, model_name: str, model_version: str, **fields: Any) -> None:
        """Raise `ValueError` for what breaks a rule, before the model is called and not when its answer is there."""

    def record(self, model_name: str, model_version: str, latency_ms: float, **fields: Any) -> str | None:
        """Record it and return its id; never raise."""


class ModelCall:
    """One call being measured; made by `ai.inference(...)`, sync and async.

    Attributes:
        inference_id: of the record, set when the call has ended.
        is_open: whether it lasts: what other instrumentations see meanwhile is the same call.
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
        self._span_usage = Usage()
        self._inside = EnclosingCall(self)
        self.is_open = False

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

    def is_of(self, attributes: Mapping[str, Json]) -> bool:
        """Tell whether a span is of the model that this call names, or of the one that has answered it."""
        return are_tied(ModelNames(self._model, self._usage.response_model or ""), names_said(attributes))

    def for_whom(self, caller: Caller) -> Caller:
        """Return a caller with the user and the session of this call, where it says them."""
        session_id = self._fields.get("session_id")
        return caller._replace(
            user_id=caller.optional_user(self._fields.get("user_id")),
            session_id=caller.session(session_id),
        )

    def enrich(self, attributes: Mapping[str, Json]) -> None:
        """Learn what the span of another instrumentation says of this call; what is known already stands."""
        self._span_usage = self._span_usage.plus(usage_of(attributes))

    def begin(self) -> ModelCall:
        """Start the clock, which goes on where it was started before."""
        if not self.is_open:
            self._began = self._monotonic()
            self.is_open = True
        return self

    def inside(self) -> EnclosingCall:
        """Return what makes this the enclosing call while one step of it runs."""
        return EnclosingCall(self)

    def end(self, error: BaseException | None = None) -> None:
        """Stop the clock and record the call; never raise."""
        self.is_open = False
        # A consumer that stops reading a stream closes it: that is no error of the model.
        if error is not None and not isinstance(error, GeneratorExit):
            self._fields.setdefault("error_type", type(error).__qualname__[:MAX_LABEL_CHARS])
        if self._chunks:
            self._fields.setdefault("time_to_first_chunk_ms", self._first_chunk_ms)
            self._fields.setdefault("output_chunks", self._chunks)
        usage = (self._reader.usage if self._reader is not None else self._usage).completed(self._span_usage)
        latency_ms = (self._monotonic() - self._began) * 1000
        self.inference_id = self._measuring.record(self._model, self._version, latency_ms, usage=usage, **self._fields)

    def __enter__(self) -> ModelCall:
        self.begin()
        self._inside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside.__exit__(kind, error, trace)
        self.end(error)

    async def __aenter__(self) -> ModelCall:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def measured(function: F, call: Callable[[], ModelCall]) -> F:
    """Return `function` measured: sync, async, generator and async generator keep their kind."""
    wrap = next((wrap for is_kind, wrap in _KINDS if is_kind(function)), _function)
    return cast(F, functools.wraps(function)(wrap(function, call)))


def _function(function: Callable[..., Any], call: Callable[[], ModelCall]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        measuring = call()
        with _until_an_error(measuring):
            result = function(*args, **kwargs)
        return _answered(result, measuring)

    return run


def _coroutine(function: Callable[..., Any], call: Callable[[], ModelCall]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> Any:
        measuring = call()
        with _until_an_error(measuring):
            result = await function(*args, **kwargs)
        return _answered(result, measuring)

    return run


@contextmanager
def _until_an_error(measuring: ModelCall) -> Iterator[None]:
    """Begin a call and make it the enclosing one; it ends here when it fails, and else with its answer."""
    measuring.begin()
    try:
        with measuring.inside():
            yield
    except BaseException as error:
        measuring.end(error)
        raise


def _answered(result: Any, measuring: ModelCall) -> Any:
    """End a call with its answer and return that; what streams is returned as a stream that ends the call."""
    if _streams(result):
        return MeasuredStream(result, measuring)
    measuring.record_response(result)
    measuring.end()
    return result


def _streams(result: object) -> bool:
    """Tell whether an answer comes in chunks: a generator, a provider's stream, of either kind; a file is none."""
    kind = type(result)
    return (hasattr(kind, "__next__") or hasattr(kind, "__anext__")) and not isinstance(result, IOBase)


def _generator(function: Callable[..., Any], call: Callable[[], ModelCall]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _sent_through(function(*args, **kwargs), call))

    return run


def _sent_through(generator: Any, call: Callable[[], ModelCall]) -> Generator[Any, Any, Any]:
    """Relay `send`, `throw` and `close`, as `yield from` would, and see every chunk go by."""
    measuring = call().begin()
    resume: Callable[[], Any] = generator.__next__
    try:
        while True:
            try:
                with measuring.inside():
                    chunk = resume()
            except StopIteration as stop:
                measuring.end()
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
    except BaseException as error:
        measuring.end(error)
        raise


def _async_generator(function: Callable[..., Any], call: Callable[[], ModelCall]) -> Callable[..., Any]:
    async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        stream = function(*args, **kwargs)
        measuring = call().begin()
        error: BaseException | None = None
        try:
            while (chunk := await _next(stream, measuring)) is not _END:
                measuring.record_chunk(chunk)
                yield chunk
        except BaseException as raised:
            error = raised
            raise
        finally:
            measuring.end(error)
            await stream.aclose()

    return run


_END = object()


async def _next(iterator: Any, measuring: ModelCall) -> Any:
    """Return the next chunk, or `_END`."""
    with measuring.inside():
        return await anext(iterator, _END)


_KINDS: tuple[tuple[Callable[[Any], bool], Callable[..., Any]], ...] = (
    (inspect.isasyncgenfunction, _async_generator),
    (inspect.iscoroutinefunction, _coroutine),
    (inspect.isgeneratorfunction, _generator),
)


class MeasuredStream(Generic[C]):
    """A stream that measures itself while it is read: time to first chunk, per chunk; it closes when abandoned.

    Iterates and async-iterates as the stream itself does, once, and hands every other attribute through. A decorated
    function that returns a stream returns this in its place.
    """

    def __init__(self, stream: Iterable[C] | AsyncIterable[C], call: ModelCall) -> None:
        self._stream: Any = stream
        self._call = call.begin()
        self._done = False
        self._chunks: Iterator[C] | None = None
        self._async_chunks: AsyncIterator[C] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _finish(self, error: BaseException | None = None) -> None:
        if not self._done:
            self._done = True
            self._call.end(error)

    def __del__(self) -> None:
        # What nobody read is a call all the same.
        if hasattr(self, "_done"):
            self._finish()

    def __next__(self) -> C:
        return next(iter(self))

    async def __anext__(self) -> C:
        return await anext(aiter(self))

    def __iter__(self) -> Iterator[C]:
        self._chunks = self._chunks or self._read()
        return self._chunks

    def __aiter__(self) -> AsyncIterator[C]:
        self._async_chunks = self._async_chunks or self._read_async()
        return self._async_chunks

    def _read(self) -> Iterator[C]:
        try:
            iterator = iter(self._stream)
            while True:
                with self._call.inside():
                    chunk: Any = next(iterator, _END)
                if chunk is _END:
                    break
                self._call.record_chunk(chunk)
                yield chunk
        except BaseException as error:
            self._finish(error)
            raise
        finally:
            self.close()

    async def _read_async(self) -> AsyncIterator[C]:
        try:
            iterator = aiter(self._stream)
            while (chunk := await _next(iterator, self._call)) is not _END:
                self._call.record_chunk(chunk)
                yield chunk
        except BaseException as error:
            self._finish(error)
            raise
        finally:
            await self.aclose()

    def __enter__(self) -> MeasuredStream[C]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._finish(error)
        self.close()

    async def __aenter__(self) -> MeasuredStream[C]:
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
