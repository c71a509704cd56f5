"""What others write is not kept unless it is asked for: the bytes of the store are searched, by every way in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.testclient import TestClient

from exporter.app import create_app
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.records.kinds import Inference, Json
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.facts import inference
from tests.otlp.receive.test_agents import CLAUDE_ERROR
from tests.otlp.requests import (
    CHAT,
    DURATION,
    NOW_US,
    PROCESS,
    Metrics,
    event,
    log_request,
    log_request_of,
    record_request,
    span,
    span_request,
)

API: Final = "/api/v1/metrics"
SECRET: Final = "hunter2"
MESSAGE: Final = f"RateLimitError: the prompt was {SECRET}"
WRITTEN: Final[dict[str, Json]] = {
    "exception.message": SECRET,
    "exception.stacktrace": f"File a.py: {SECRET}",
    "gen_ai.prompt.0.content": SECRET,
    "gen_ai.input.messages": [{"role": "user", "content": SECRET}],
    "nested": {"prompt": SECRET, "kept": 1},
    "error.type": MESSAGE,
}
RESOURCE: Final[dict[str, Json]] = {
    **PROCESS,
    "process.command_args": ["python", f"--password={SECRET}"],
    "process.command_line": f"python --password={SECRET}",
    "gen_ai.completion": SECRET,
}
Send = Callable[[TestClient, Runtime], object]


def otlp(signal: str, message: Message) -> Send:
    """Return what sends a request."""

    def send(client: TestClient, _: Runtime) -> object:
        answer = client.post(
            f"/v1/{signal}", content=message.SerializeToString(), headers={"content-type": "application/x-protobuf"}
        )
        assert (answer.status_code, answer.content) == (200, b"")
        return None

    return send


def body(path: str, content: dict[str, Any]) -> Send:
    """Return what writes over HTTP."""
    return lambda client, _: client.post(f"{API}/{path}", json=content).raise_for_status()


def raised(_: TestClient, runtime: Runtime) -> None:
    """Fail inside a measured call."""
    with pytest.raises(ValueError, match=SECRET), runtime.ai.inference("m", "1"):
        raise ValueError(SECRET)


def failed_span() -> Message:
    """Return a call and a span around it that failed, each with the exception as its event."""
    plain = {**span(9, WRITTEN, status=2), "name": f"GET /search?q={SECRET}"}
    request = span_request(span(2, {**CHAT, **WRITTEN}, parent=9, status=2), plain, resource=RESOURCE)
    for one in request.resource_spans[0].scope_spans[0].spans:
        one.status.message = SECRET
        told = one.events.add(name="exception").attributes.add(key="exception.message")
        told.value.string_value = SECRET
    return request


CALL: Final = {"model_name": "m", "model_version": "1", "latency_ms": 5.0, "error_type": MESSAGE}
AGENT_ERROR: Final = {**CLAUDE_ERROR, "error": SECRET, "error_type": MESSAGE, "prompt": SECRET}
FACT: Final[Inference] = inference("i", ts=NOW_US, error_type=MESSAGE)
WAYS_IN: Final[dict[str, tuple[Send, ...]]] = {
    "Python": (lambda _, runtime: runtime.ai.record_inference("m", "1", 5.0, error_type=MESSAGE), raised),
    "HTTP": (body("ai/inferences/record", CALL), body("ai/inferences/batch", {"inferences": [CALL]})),
    "spans": (otlp("traces", failed_span()),),
    "facts as events": (otlp("logs", record_request([FACT], RESOURCE)),),
    "events": (
        otlp("logs", log_request([event("exception", user_id="u", exception_message=SECRET)], RESOURCE)),
        otlp("logs", log_request_of({**WRITTEN, "user.id": "u"}, name="exception", resource=RESOURCE)),
        otlp("logs", log_request_of(WRITTEN, body=SECRET, resource=RESOURCE)),
    ),
    "events of agents": (otlp("logs", log_request_of(AGENT_ERROR, body="claude_code.api_error", resource=RESOURCE)),),
    "metrics": (
        otlp("metrics", Metrics(RESOURCE).counter("jobs", 1, WRITTEN).request),
        otlp("metrics", Metrics(RESOURCE).histogram(DURATION, [0, 1, 0], 1.5, CHAT | WRITTEN).request),
    ),
}


def exposed_and_stored(
    local: Callable[[Starlette], TestClient], folder: Path, sends: tuple[Send, ...], **settings: Any
) -> bytes:
    """Send some things to an exporter; return what it then shows, and the bytes of its store."""
    store = folder / "measure.db"
    runtime = Runtime(Settings(store=str(store), **settings), clock=Clock(moment(NOW_US)))
    with local(create_app(runtime=runtime)) as client:
        for send in sends:
            send(client, runtime)
        runtime.receiver.count_signals()
        runtime.recorder.flush()
        shown = [client.get(path).content for path in ("/metrics", f"{API}/ai/models", f"{API}/users/export?user_id=u")]
    kept = [file.read_bytes() for file in folder.iterdir() if file.name.startswith("measure.db")]
    runtime.shutdown()
    return b"".join((*shown, *kept, store.read_bytes()))


@pytest.mark.parametrize("way", WAYS_IN)
def test_what_others_write_is_not_kept(local: Callable[[Starlette], TestClient], tmp_path: Path, way: str) -> None:
    """Messages, stack traces, prompts and arguments of commands are in no byte of the store and in no answer.

    Of a message in place of an error's type the class is left, whichever way it came.
    """
    found = exposed_and_stored(local, tmp_path, WAYS_IN[way])
    assert SECRET.encode() not in found
    assert b"RateLimitError" in found


@pytest.mark.parametrize("way", ["events", "metrics"])
def test_what_others_write_is_kept_where_it_is_asked_for(
    local: Callable[[Starlette], TestClient], tmp_path: Path, way: str
) -> None:
    """With `store_text`; types of errors are classes all the same."""
    found = exposed_and_stored(local, tmp_path, WAYS_IN[way], store_text=True)
    assert SECRET.encode() in found
    assert MESSAGE.encode() not in found
