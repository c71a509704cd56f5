"""A page of named types: one row of the route table, what its handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

if TYPE_CHECKING:
    from starlette.types import Receive

    from exporter.http.body import BodyHeaders
    from exporter.running import Live
    from otel_measure.runtime import Runtime

Access: TypeAlias = Literal["open", "page", "read", "write", "admin"]
Header: TypeAlias = tuple[bytes, bytes]
Read: TypeAlias = "Callable[[BodyHeaders, Receive, int], Awaitable[msgspec.Struct]]"

# Every figure below is reached after decompression.
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_BATCH_ITEMS: Final = 1000
MAX_ITEM_BYTES: Final = 32 * 1024
API: Final = "/api/v1/metrics"


class NoQuery(msgspec.Struct, frozen=True):
    """No query parameter has a meaning here."""


class NoBody(msgspec.Struct, frozen=True):
    """No body is read."""


Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)


class Content(NamedTuple):
    """An answer as it leaves: the body, and all headers but its length."""

    body: bytes
    headers: tuple[Header, ...]
    status: int = 200


Fails: TypeAlias = Callable[[Exception, Iterable[Header], bool], Content]


@dataclass(slots=True)
class Call(Generic[Q, B]):
    """What a handler is given.

    Attributes:
        path: the parameters of the path, decoded.
        query: the parameters after the question mark.
        body: the decoded body.
    """

    path: Mapping[str, str]
    query: Q
    body: B
    _live: Live | None = None

    @property
    def live(self) -> Live:
        """The running runtime and the commits that wait for it."""
        if self._live is None:
            raise RuntimeError("this endpoint was declared to need no runtime (runtime=False)")
        return self._live

    @property
    def runtime(self) -> Runtime:
        """The runtime that answers."""
        return self.live.runtime


PlainCall: TypeAlias = Call[NoQuery, NoBody]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[Q, B]):
    """One row of the route table: routing, access, the OpenAPI description and the 404 and 405 answers follow from it.

    Attributes:
        path: from the root of the application; `{name}` stands for one percent-encoded segment.
        handler: a function runs in a worker thread, a coroutine function on the event loop. Its return annotation is
            the schema of `data`; a `Content` leaves as it is.
        returns: what the answer tells, one sentence.
        status: of an answer that went well.
        max_bytes: of the body, after decompression.
        runtime: whether the handler asks the runtime; without, it answers although none can start.
        reads: how a body that is no JSON of ours is read, up to a number of bytes.
        fails: the answer that an exception becomes, where that is not the envelope: of the exception, the headers of
            the request, and whether the client gave anything that could be wrong.
        accepts: the media types of bodies.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Callable[[Call[Q, B]], object]
    query: type[Q]
    body: type[B]
    access: Access
    summary: str
    returns: str
    status: int = 200
    max_bytes: int = 0
    runtime: bool = True
    reads: Read | None = None
    fails: Fails | None = None
    accepts: tuple[str, ...] = ("application/json",)


AnyEndpoint: TypeAlias = Endpoint[Any, Any]


def get(
    path: str,
    handler: Callable[[Call[Q, NoBody]], object],
    query: type[Q],
    summary: str,
    returns: str,
    *,
    access: Access = "read",
    runtime: bool = True,
) -> Endpoint[Q, NoBody]:
    """Return the row of a question."""
    return Endpoint(
        method="GET", path=path, handler=handler, query=query, body=NoBody, access=access, summary=summary,
        returns=returns, runtime=runtime,
    )  # fmt: skip


def post(
    path: str,
    handler: Callable[[Call[NoQuery, B]], object],
    body: type[B],
    summary: str,
    returns: str,
    *,
    status: int = 201,
    max_bytes: int = MAX_ITEM_BYTES,
    access: Access = "write",
) -> Endpoint[NoQuery, B]:
    """Return the row of a write."""
    return Endpoint(
        method="POST", path=path, handler=handler, query=NoQuery, body=body, access=access, summary=summary,
        returns=returns, status=status, max_bytes=max_bytes,
    )  # fmt: skip
