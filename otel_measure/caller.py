"""Who the caller acts for: user and session, kept under a private key of the OpenTelemetry context.

Ids never travel in baggage: the default propagators would send them to the model provider.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from opentelemetry import baggage, trace
from opentelemetry import context as otel_context

from otel_measure import checks

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


def caller() -> Caller:
    """Return who a record made now belongs to, with the trace context it is made in."""
    user_id, session_id = _ids()
    span = trace.get_current_span().get_span_context()
    if not span.is_valid:
        return Caller(user_id, session_id)
    return Caller(user_id, session_id, f"{span.trace_id:032x}", f"{span.span_id:016x}")


def _ids() -> tuple[str | None, str | None]:
    found = otel_context.get_value(_KEY)
    return found if isinstance(found, tuple) else (None, None)
