"""Who the caller acts for: user and session, kept under a private key of the OpenTelemetry context.

Ids never travel in baggage: the default propagators would send them to the model provider.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Final, NamedTuple, Protocol

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context

from otel_measure.records import checks
from otel_measure.records.kinds import Json

_KEY: Final = otel_context.create_key("otel-measure")


class Caller(NamedTuple):
    """What a record takes from its surroundings; ids are hex text, as W3C Trace Context writes them."""

    user_id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


@contextmanager
def context(
    *, user_id: object = None, session_id: str | None = None, propagate: bool = False, key: bytes = b""
) -> Iterator[None]:
    """Give every record made inside this user and session, over `await` and into threads started with the context.

    Args:
        user_id: an int or a non-empty string; `None` keeps that of the surrounding context.
        session_id: likewise.
        propagate: send a keyed hash of the user id in W3C baggage to the services that are called.
        key: the secret of that hash; needed with `propagate`.

    Raises:
        ValueError: an id is not one, or `propagate` comes without a key.
    """
    outer = _ids()
    inner = (
        outer[0] if user_id is None else checks.user_id("user_id", user_id),
        outer[1] if session_id is None else checks.text("session_id", session_id, checks.MAX_ID_CHARS),
    )
    current = otel_context.set_value(_KEY, inner)
    if propagate:
        current = _with_baggage(current, inner[0], key)
    token = otel_context.attach(current)
    try:
        yield
    finally:
        otel_context.detach(token)


def _with_baggage(current: otel_context.Context, user_id: str | None, key: bytes) -> otel_context.Context:
    if not key:
        raise ValueError("propagate=True needs key=<secret bytes>: ids leave the process only as a keyed hash")
    if user_id is None:
        return current
    digest = hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()[:32]
    return baggage.set_baggage("otel_measure.user.hash", digest, context=current)


class Measured(Protocol):
    """A call of a model that is being measured; what other instrumentations see inside it is the same call."""

    @property
    def is_open(self) -> bool:
        """Whether it still lasts."""

    def enrich(self, attributes: Mapping[str, Json]) -> None:
        """Learn what the span of another instrumentation says of it."""


# Not in the OpenTelemetry context: instrumentations of streams go back to the one that a stream was opened in.
_call: Final[ContextVar[Measured | None]] = ContextVar("otel-measure-call", default=None)


class Inside:
    """Makes a call the enclosing one of whatever runs in the `with` block.

    What a generator attaches would reach its consumer, so for a generator a block lasts one step.
    """

    def __init__(self, call: Measured) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._token = _call.set(self._call)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # Left in another context than entered (a generator of the caller's own), there is nothing to take back.
        with suppress(ValueError):
            _call.reset(self._token)


def enclosing() -> Measured | None:
    """Return the call of a model that is being measured here, `None` for none."""
    found = _call.get()
    return found if found is not None and found.is_open else None


def caller(context: otel_context.Context | None = None) -> Caller:
    """Return who a record made now (or in a context) belongs to, with the trace context it is made in."""
    user_id, session_id = _ids(context)
    span = trace.get_current_span(context).get_span_context()
    if not span.is_valid:
        return Caller(user_id, session_id)
    return Caller(user_id, session_id, f"{span.trace_id:032x}", f"{span.span_id:016x}")


def _ids(context: otel_context.Context | None = None) -> tuple[str | None, str | None]:
    found = otel_context.get_value(_KEY, context)
    return found if isinstance(found, tuple) else (None, None)
