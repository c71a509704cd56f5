"""Recordings without the machine that they were made on: no path of it, no name."""

from __future__ import annotations

import platform
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.recordings.sink import SentRequest

_MESSAGES: Final[dict[str, type[Message]]] = {
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/traces": ExportTraceServiceRequest,
}
_MACHINE_ID: Final = Path("/etc/machine-id")
_FRAMES: Final = re.compile(r"(\nTraceback|Traceback|\n    at ).*", re.DOTALL)


class Neutral:
    """Takes the machine out of requests."""

    def __init__(self, environment: Path) -> None:
        root = Path(__file__).parents[2]
        folders = [str(environment), str(root), sys.prefix, sys.base_prefix, str(Path.home())]
        self._names = [(folder, "/there") for folder in sorted(folders, key=len, reverse=True)]
        self._names += [(socket.gethostname(), "machine"), (platform.release(), "release")]
        if _MACHINE_ID.exists():
            self._names.append((_MACHINE_ID.read_text(encoding="utf-8").strip(), "0" * 32))

    def requests(self, requests: Sequence[SentRequest]) -> list[SentRequest]:
        """Return the same requests without names and paths of this machine."""
        return [each._replace(body=self._body(each)) for each in requests]

    def _body(self, request: SentRequest) -> bytes:
        if request.content_type != "application/x-protobuf":
            return self._text(request.body.decode()).encode()
        message = _MESSAGES[request.path].FromString(request.body)
        self._message(message)
        return message.SerializeToString()

    def _message(self, message: Any) -> None:
        for field, value in message.ListFields():
            values = value if field.is_repeated else [value]
            if field.message_type is not None:
                for each in values:
                    self._message(each)
            elif field.type == field.TYPE_STRING and not field.is_repeated:
                setattr(message, field.name, self._text(value))

    def _text(self, text: str) -> str:
        text = _FRAMES.sub("", text)
        for name, instead in self._names:
            text = text.replace(name, instead)
        return text
