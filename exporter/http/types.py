"""The types of a request's way: the route, the call that its handler is given, and the content that leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from exporter.http.lists import BoundListing, Listing, answer_type, bound, with_page
from exporter.http.tables import AnyTable, with_table
from otel_measure.definitions.pages import FIRST_PAGE, Page
from otel_measure.definitions.series import Series
from otel_measure.records.limits import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from exporter.http.commit import GroupCommit
    from exporter.http.readiness import Readiness
    from otel_measure.runtime import Runtime

Access: TypeAlias = Literal["open", "page", "read", "write", "admin"]
Header: TypeAlias = tuple[bytes, bytes]

# Every figure below is reached after decompression.
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_BATCH_ITEMS: Final = 1000
MAX_ITEM_BYTES: Final = MAX_RECORD_BYTES
API: Final = "/api/v1/metrics"
JSON: Final = "application/json"
CSV: Final = "text/csv"


class NoQuery(msgspec.Struct, frozen=True):
    """No query parameter has a meaning here."""


class NoBody(msgspec.Struct, frozen=True):
    """No body is read."""


Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)


class BodyHeaders(NamedTuple):
    """What the headers say about a body."""

    content_type: bytes = b""
    encoding: bytes = b""
    length: bytes = b""


BodyReader: TypeAlias = "Callable[[BodyHeaders, bytes, int], msgspec.Struct]"


class Content(NamedTuple):
    """An answer as it leaves: the body, and all headers but its length.

    Attributes:
        gzipped: the same body for clients that take gzip; empty where nobody compressed it beforehand.
    """

    body: bytes
    headers: tuple[Header, ...]
    status: int = 200
    gzipped: bytes = b""


ErrorHandler: TypeAlias = Callable[[Exception, Iterable[Header], bool], Content]


class Backend(NamedTuple):
    """What answers requests in one process: its runtime, the group commit of single writes, and whether it is ready."""

    runtime: Runtime
    commits: GroupCommit
    readiness: Readiness


@dataclass(slots=True)
class Call(Generic[Q, B]):
    """A request as its handler is given it.

    Attributes:
        path_params: the parameters of the path, decoded.
        query: the parameters after the question mark.
        body: the decoded body.
        page: the part of the answer's lists that is asked for; a handler that answers `Listed` takes it itself.
    """

    path_params: Mapping[str, str]
    query: Q
    body: B
    page: Page = FIRST_PAGE
    _backend: Backend | None = None

    @property
    def backend(self) -> Backend:
        """The running runtime and its group commit.

        Raises:
            RuntimeError: the route was declared to need no runtime.
        """
        if self._backend is None:
            raise RuntimeError("this route was declared to need no runtime (needs_runtime=False)")
        return self._backend

    @property
    def runtime(self) -> Runtime:
        """The runtime that answers."""
        return self.backend.runtime

    @property
    def commits(self) -> GroupCommit:
        """The group commit that single writes wait for."""
        return self.backend.commits


PlainCall: TypeAlias = Call[NoQuery, NoBody]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[Q, B]):
    """One row of the route table: routing, access, the OpenAPI description and the 404 and 405 answers follow from it.

    Attributes:
        path: from the root of the application; `{name}` stands for one percent-encoded segment.
        handler: a function runs in a worker thread, a coroutine function on the event loop. Its return annotation is
            the schema of `data`; a `Content` leaves as it is.
        access: the scope that a request needs.
        query: those of the handler and, of an answer with lists, those of a page.
        returns: what the answer tells, one sentence.
        status: of an answer that went well.
        max_bytes: of the body, after decompression.
        needs_runtime: whether the handler asks the runtime; without, it answers although none can start.
        body_reader: decodes a body that is no JSON of ours, up to a number of bytes, on the thread of the handler. Such
            bodies may be large: few are decoded at once.
        error_handler: returns the answer that an exception becomes, where that is not the envelope: of the exception,
            the headers of the request, and whether the client gave anything that could be wrong.
        accepts: the media types of bodies.
        produces: the media types of answers that are a `Content`; every other answer is JSON.
        lists: the lists in the answer, of which a question may ask for a part, and which may leave as CSV.
        tables: what else of the answer may leave as CSV; an answer has lists or tables.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handler: Callable[[Call[Q, B]], object]
    query: type[msgspec.Struct]
    body: type[B]
    access: Access
    summary: str
    returns: str
    status: int = 200
    max_bytes: int = 0
    needs_runtime: bool = True
    body_reader: BodyReader | None = None
    error_handler: ErrorHandler | None = None
    accepts: tuple[str, ...] = (JSON,)
    produces: tuple[str, ...] = (JSON,)
    lists: tuple[BoundListing, ...] = ()
    tables: tuple[AnyTable, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether its answer may leave as CSV: it has lists or tables, or is a series."""
        return bool(self.lists or self.tables) or answer_type(self.handler) is Series


AnyRoute: TypeAlias = Route[Any, Any]


def get(
    path: str,
    handler: Callable[[Call[Q, NoBody]], object],
    query: type[Q],
    summary: str,
    returns: str,
    *,
    access: Access = "read",
    needs_runtime: bool = True,
    produces: tuple[str, ...] = (JSON,),
    lists: tuple[Listing, ...] = (),
    tables: tuple[AnyTable, ...] = (),
) -> Route[Q, NoBody]:
    """Return the route of a question; of lists in its answer it takes the parameters of a page, of tables which one."""
    in_answer = bound(lists, answer_type(handler)) if lists else ()
    return Route(
        method="GET", path=path, handler=handler, query=with_table(with_page(query, path, in_answer), path, tables),
        body=NoBody, access=access, summary=summary, returns=returns, needs_runtime=needs_runtime, produces=produces,
        lists=in_answer, tables=tables,
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
) -> Route[NoQuery, B]:
    """Return the route of a write."""
    return Route(
        method="POST", path=path, handler=handler, query=NoQuery, body=body, access=access, summary=summary,
        returns=returns, status=status, max_bytes=max_bytes,
    )  # fmt: skip


def delete(
    path: str,
    handler: Callable[[Call[Q, NoBody]], object],
    query: type[Q],
    summary: str,
    returns: str,
    *,
    access: Access,
) -> Route[Q, NoBody]:
    """Return the route of a removal."""
    return Route(
        method="DELETE", path=path, handler=handler, query=query, body=NoBody, access=access, summary=summary,
        returns=returns,
    )  # fmt: skip
