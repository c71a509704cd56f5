"""Facts on their way out: events by OTLP/HTTP to a Collector or a central exporter, from the outbox of the store.

Nothing is lost while the other side is away: what it has not taken stays in the store. What was sent and not confirmed
is sent again; a receiver of ours knows it by its id. Of the processes that share a store one sends at a time.
"""

from __future__ import annotations

import gzip
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from otel_measure.conventions import semconv
from otel_measure.errors import MeasureError
from otel_measure.otlp.events import fill_log_record
from otel_measure.otlp.target import OtlpLogs
from otel_measure.otlp.values import fill_pairs
from otel_measure.records.events import to_event
from otel_measure.records.kinds import Json, Origin, Record
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import OutboxBatch

if TYPE_CHECKING:
    from requests import Session

_log: Final = logging.getLogger("otel_measure")
BATCH: Final = 1000
MAX_BYTES: Final = 1024 * 1024
LEASE_US: Final = 20_000_000
POLL_S: Final = 1.0
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
LONGEST_RETRY_AFTER_S: Final = 300.0  # who asks for more is asked again all the same
# What one body cannot cure by being sent again as it is.
_SPLIT: Final = frozenset({400, 413, 422})


class PostResponse(NamedTuple):
    """What the other side said; status 0 when it could not be reached."""

    status: int
    body: bytes = b""
    retry_after_s: float = 0.0
    why: str = ""


class Post(Protocol):
    """Sends a body and returns the answer; never raises."""

    def __call__(self, body: bytes, timeout_s: float) -> PostResponse:
        """Send it."""


class SendingLease(Protocol):
    """The right to send, which one of the processes that share a store has at a time."""

    def take(self) -> bool:
        """Take or keep it; `False` while it is another's."""

    def give_up(self) -> None:
        """Let another process have it."""


class CountSent(Protocol):
    """Counts facts by what became of them on their way out."""

    def __call__(self, outcome: str, n: int) -> None:
        """Count `n` facts."""


class HttpPost:
    """Sends protobuf over HTTP.

    Args:
        target: where to, with which headers.
    """

    def __init__(self, target: OtlpLogs) -> None:
        self._target = target
        self._session: Session | None = None

    def __call__(self, body: bytes, timeout_s: float) -> PostResponse:
        """Send a body; a redirect is an answer like any other."""
        import requests

        target = self._target
        if self._session is None:
            self._session = requests.Session()
        headers = {**target.headers, "Content-Type": "application/x-protobuf"}
        if target.compression == "gzip":
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        try:
            response = self._session.post(
                target.url,
                data=body,
                headers=headers,
                timeout=min(timeout_s, target.timeout_s),
                verify=target.certificate or True,
                cert=target.client_certificate,
                allow_redirects=False,
            )
        except (OSError, requests.RequestException) as error:
            return PostResponse(0, why=str(error))
        return PostResponse(response.status_code, response.content, _seconds(response.headers.get("Retry-After")))

    def after_fork_in_child(self) -> None:
        """Let go of connections that are the parent's."""
        self._session = None


def _seconds(value: str | None) -> float:
    """Return the seconds of a `Retry-After`; its form as a date is rare, and means no more than to wait."""
    seconds = float(value) if value is not None and value.isascii() and value.isdigit() else 0.0
    return min(seconds, LONGEST_RETRY_AFTER_S)


class Push:
    """Sends what the outbox holds, from a thread of its own.

    Args:
        store: whose outbox is sent.
        post: sends a request.
        lease: the right to send.
        resource: the attributes of this process.
        now_us: the clock.
        count: told what became of facts.
        uniform: a random number between two; spreads the retries of many senders.
    """

    def __init__(
        self,
        store: Store,
        post: Post,
        *,
        lease: SendingLease,
        resource: Callable[[], Mapping[str, Json]],
        now_us: Callable[[], int],
        count: CountSent,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._store = store
        self._post = post
        self._lease = lease
        self._resource = resource
        self._now_us = now_us
        self._count = count
        self._uniform = uniform
        self._logged: set[str] = set()
        self._reset()

    def _reset(self) -> None:
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Start sending; again is a no-op."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="otel-measure-push", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what waits, and no more by itself; what is not sent in time stays in the store."""
        self._stop.set()
        self.flush(timeout_s)

    def outbox_length(self) -> int:
        """Return how many facts wait in the store to leave."""
        with self._store.asking() as moment:
            return moment.outbox.length()

    def flush(self, timeout_s: float) -> bool:
        """Send what waits, now, unless another process does; `False` when that did not succeed in time."""
        deadline = time.monotonic() + timeout_s
        if not self._sending.acquire(timeout=max(timeout_s, 0.0)):
            return False
        try:
            return self._drained(deadline) is None
        finally:
            self._sending.release()

    def after_fork_in_child(self) -> None:
        """Become the sender of another process."""
        started = self._thread is not None
        self._reset()
        if isinstance(self._post, HttpPost):
            self._post.after_fork_in_child()
        if started:
            self.start()

    def _run(self) -> None:
        failures, wait_s = 0, POLL_S
        while not self._stop.wait(wait_s):
            with self._sending:
                answer = self._drained(None)
            if answer is None:
                failures, wait_s = 0, POLL_S
                continue
            longest_s = min(FIRST_WAIT_S * 2**failures, LONGEST_WAIT_S)
            failures = min(failures + 1, 16)
            wait_s = max(self._uniform(0.0, longest_s), answer.retry_after_s)

    # ------------------------------------------------------------ sending

    def _drained(self, deadline: float | None) -> PostResponse | None:
        """Send as `_drain` does, and never raise: the thread goes on, and so does the end of a process."""
        try:
            return self._drain(deadline)
        except Exception as error:
            answer = PostResponse(0, why=repr(error))
            self._log_once(answer)
            return answer

    def _drain(self, deadline: float | None) -> PostResponse | None:
        """Send until nothing waits; return the answer that stopped it, `None` when nothing did."""
        try:
            if self._next(1) is None or not self._lease.take():
                return None  # nothing waits, or another process sends it
            try:
                return self._send_all(deadline)
            finally:
                self._lease.give_up()
        except MeasureError as error:
            return PostResponse(0, why=str(error))

    def _send_all(self, deadline: float | None) -> PostResponse | None:
        while (batch := self._next(BATCH)) is not None and self._lease.take():
            answer = self._send(batch, deadline)
            if answer is not None:
                return answer
            self._store.remove_sent(batch)
        return None

    def _next(self, limit: int) -> OutboxBatch | None:
        with self._store.asking() as moment:
            return moment.outbox.next(limit)

    def _send(self, batch: OutboxBatch, deadline: float | None) -> PostResponse | None:
        by_origin: dict[Origin, list[Record]] = {}
        for record in batch.records:
            by_origin.setdefault(record.origin, []).append(record)
        for origin, records in by_origin.items():
            answer = self._send_records(origin, records, deadline)
            if answer is not None:
                return answer
        return None

    def _send_records(self, origin: Origin, records: Sequence[Record], deadline: float | None) -> PostResponse | None:
        """Send facts of one origin; `None` when they need not be sent again."""
        body = self._body(origin, records)
        if len(body) > MAX_BYTES and len(records) > 1:
            return self._halves(origin, records, deadline)
        left_s = 60.0 if deadline is None else deadline - time.monotonic()
        if left_s <= 0:
            return PostResponse(0, why="no time is left")
        answer = self._post(body, left_s)
        if 200 <= answer.status < 300:
            self._account(answer, len(records))
            return None
        if answer.status not in _SPLIT:
            self._log_once(answer)
            return answer
        if len(records) > 1:
            return self._halves(origin, records, deadline)
        self._count("refused", 1)
        self._log_once(answer)
        return None

    def _halves(self, origin: Origin, records: Sequence[Record], deadline: float | None) -> PostResponse | None:
        middle = len(records) // 2
        return self._send_records(origin, records[:middle], deadline) or self._send_records(
            origin, records[middle:], deadline
        )

    def _body(self, origin: Origin, records: Iterable[Record]) -> bytes:
        request = ExportLogsServiceRequest()
        of_resource = request.resource_logs.add()
        own = {**self._resource(), semconv.ATTR_SERVICE_NAME: origin.service, semconv.ATTR_OWN_FACTS: True}
        if origin.environment:
            own[semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME] = origin.environment
        fill_pairs(of_resource.resource.attributes, own)
        of_scope = of_resource.scope_logs.add()
        of_scope.scope.name = semconv.SCOPE_EVENTS
        now_us = self._now_us()
        for record in records:
            fill_log_record(of_scope.log_records.add(), to_event(record), now_us)
        return request.SerializeToString()

    def _account(self, answer: PostResponse, n: int) -> None:
        refused = 0
        try:
            partial = ExportLogsServiceResponse.FromString(answer.body).partial_success
            refused = min(max(partial.rejected_log_records, 0), n)
        except DecodeError:
            partial = None  # an answer in another form than asked for is a success all the same
        if refused and partial is not None:
            self._count("refused", refused)
            self._log_once(PostResponse(answer.status, why=f"{refused} facts were refused: {partial.error_message}"))
        self._count("accepted", n - refused)

    def _log_once(self, answer: PostResponse) -> None:
        what = f"{answer.status}" if answer.status else "away"
        if what in self._logged:
            return
        self._logged.add(what)
        why = answer.why or message_of(answer.body)
        _log.warning("facts do not leave by OTLP (%s: %s); %s (logged once)", what, why, way_out(answer.status))


def message_of(body: bytes) -> str:
    """Return what an answer says: OTLP's errors are a `google.rpc.Status`, those of others are text."""
    from google.rpc.status_pb2 import Status

    try:
        message = Status.FromString(body).message
    except DecodeError:
        message = ""
    return message or body[:200].decode("utf-8", "replace")


def way_out(status: int) -> str:
    """Return what is to be done about an answer."""
    if status in {401, 403}:
        return "they stay in the store: set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token>"
    if status == 404:
        return "they stay in the store: otlp_endpoint is the base URL, /v1/logs is added to it"
    if status in _SPLIT or 200 <= status < 300:
        return "what was refused is counted in otel_measure.self.sent"
    return "they stay in the store and are sent when the other side is there"
