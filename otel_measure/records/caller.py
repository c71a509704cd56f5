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
from otel_measure.records.limits import MAX_ID_CHARS

_KEY: Final = otel_context.create_key("otel-measure")


class Caller(NamedTuple):
    """What a record takes from its surroundings; ids are hex text, as W3C Trace Context writes them."""

    user_id: str | None = None
    session_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None

    def user(self, argument: object) -> str:
        """Return the user whom an argument `user_id` names, the caller's when it names none.

        Raises:
            ValueError: nobody is named, or the id is none.
        """
        if argument is None and self.user_id is not None:
            return self.user_id
        return checks.user_id("user_id", argument)

    def optional_user(self, argument: object) -> str | None:
        """Return the user as `user` does, `None` for nobody."""
        return self.user_id if argument is None else checks.user_id("user_id", argument)

    def session(self, argument: object) -> str | None:
        """Return the session that an argument `session_id` names, the caller's when it names none.

        Raises:
            ValueError: the id is none.
        """
        if argument is None:
            return self.session_id
        return checks.optional_text("session_id", argument, MAX_ID_CHARS) or self.session_id


@contextmanager
def context(
    *, user_id: object = None, session_id: str | None = None, propagate: bool = False, key: bytes = b""
) -> Iterator[None]:
    """Give every record made inside this user and session, over `await` and into threads started with the context.

    Args:
        user_id: an int, a UUID or a non-empty string; `None` keeps that of the surrounding context.
        session_id: likewise.
        propagate: send a keyed hash of the user id in W3C baggage to the services that are called.
        key: the secret of that hash; needed with `propagate`.

    Raises:
        ValueError: an id is not one, or `propagate` comes without a key.
    """
    outer_user, outer_session = _ids()
    inner = (
        outer_user if user_id is None else checks.user_id("user_id", user_id),
        outer_session if session_id is None else checks.id_text("session_id", session_id),
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


class MeasuredCall(Protocol):
    """A call of a model that is being measured; what others see of that model inside is the same call."""

    @property
    def is_open(self) -> bool:
        """Whether it still lasts."""

    def is_of(self, attributes: Mapping[str, Json]) -> bool:
        """Tell whether another instrumentation's span with these attributes is of the model that it names."""

    def for_whom(self, caller: Caller) -> Caller:
        """Return a caller with the user and the session of this call, where it says them."""

    def enrich(self, attributes: Mapping[str, Json]) -> None:
        """Take in what the attributes of another instrumentation's span say of it."""


# Not in the OpenTelemetry context: instrumentations of streams go back to the one that a stream was opened in.
_call: Final[ContextVar[MeasuredCall | None]] = ContextVar("otel-measure-call", default=None)


class EnclosingCall:
    """Makes a call the enclosing one of whatever runs in the `with` block.

    What a generator attaches would reach its consumer, so for a generator a block lasts one step.
    """

    def __init__(self, call: MeasuredCall) -> None:
        self._call = call

    def __enter__(self) -> None:
        self._token = _call.set(self._call)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # Left in another context than entered (a generator of the caller's own), there is nothing to take back.
        with suppress(ValueError):
            _call.reset(self._token)


def enclosing_call() -> MeasuredCall | None:
    """Return the call of a model that is being measured here, `None` for none."""
    call = _call.get()
    return call if call is not None and call.is_open else None


def current_caller(context: otel_context.Context | None = None) -> Caller:
    """Return who a record made now (or in a context) belongs to, with the trace context it is made in."""
    user_id, session_id = _ids(context)
    span = trace.get_current_span(context).get_span_context()
    if not span.is_valid:
        return Caller(user_id, session_id)
    return Caller(user_id, session_id, f"{span.trace_id:032x}", f"{span.span_id:016x}")


def _ids(context: otel_context.Context | None = None) -> tuple[str | None, str | None]:
    ids = otel_context.get_value(_KEY, context)
    return ids if isinstance(ids, tuple) else (None, None)
