"""The types of a check: the surroundings it looks at, and the finding it returns."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from exporter.cli.ports import Holder, can_connect, holder_of
from otel_measure.config import Settings, otlp_logs
from otel_measure.otlp.send.push import HttpPost, PostResponse
from otel_measure.store.sqlite.connection import MEMORY, local_mounts

if TYPE_CHECKING:
    from otel_measure.telemetry.sdk_internals import Internal

Verdict: TypeAlias = Literal["ok", "warning", "wrong"]

_ANSWER_WITHIN_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of one check.

    Attributes:
        way_out: what to do; empty when there is nothing to do.
        check: the name of the check in the list.
    """

    verdict: Verdict
    what: str
    way_out: str = ""
    check: str = ""


ok = partial(Finding, "ok")
warning = partial(Finding, "warning")
wrong = partial(Finding, "wrong")


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
    mounts: Callable[[], list[tuple[str, str]]] = local_mounts
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    may_write: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)
    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    holder: Callable[[int], Holder | None] = holder_of
    version_of: Callable[[str], str] = metadata.version
    sqlite_version: tuple[int, ...] = sqlite3.sqlite_version_info
    meter_provider: Callable[[], object] = global_meter_provider
    missing_internals: Callable[[], list[Internal]] = missing_internals
    can_connect: Callable[[str, int], bool] = can_connect
    sends: Callable[[str, Mapping[str, str]], PostResponse] = sent_nothing

    @property
    def is_file(self) -> bool:
        """Whether the store is a file, which need not exist."""
        return self.settings.store not in {None, MEMORY} and "://" not in str(self.settings.store)

    @property
    def file(self) -> Path:
        """The file of the store."""
        return Path(str(self.settings.store))
