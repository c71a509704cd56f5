"""What checks look at: the settings, and the parts of the machine around them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter.cli.otlp_grpc import is_installed
from exporter.cli.ports import Holder, can_connect, holder_of
from otel_measure.config import Settings
from otel_measure.otlp.send.push import HttpPost, PostResponse
from otel_measure.otlp.target import otlp_logs

if TYPE_CHECKING:
    from otel_measure.telemetry.sdk_internals import Internal

_ANSWER_WITHIN_S: Final = 3.0


def sent_nothing(endpoint: str, environ: Mapping[str, str]) -> PostResponse:
    """Return the answer of an endpoint to a request without events."""
    return HttpPost(otlp_logs(endpoint, environ))(b"", _ANSWER_WITHIN_S)


def global_meter_provider() -> object:
    """Return the MeterProvider that the application has set, or OpenTelemetry's stand-in."""
    from opentelemetry.metrics import get_meter_provider

    return get_meter_provider()


def missing_internals() -> list[Internal]:
    """Return the private names of OpenTelemetry that are not as we know them."""
    from otel_measure.telemetry.sdk_internals import missing_internals as missing

    return missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The settings and the parts of the machine that checks look at, each to be replaced by a test."""

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    holder: Callable[[int], Holder | None] = holder_of
    has_grpc: Callable[[], bool] = is_installed
    version_of: Callable[[str], str] = metadata.version
    meter_provider: Callable[[], object] = global_meter_provider
    missing_internals: Callable[[], list[Internal]] = missing_internals
    can_connect: Callable[[str, int], bool] = can_connect
    sends: Callable[[str, Mapping[str, str]], PostResponse] = sent_nothing

    @property
    def store_file(self) -> Path | None:
        """The file of the store, where there is one."""
        path = self.settings.store
        return Path(path) if path is not None and os.path.isfile(path) else None
