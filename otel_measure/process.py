"""This process's runtime: made once, by `configure()` or the first service call, and there before and after a fork."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Any, Final

from otel_measure.ai.service import AiModelService
from otel_measure.config import DEFAULT, Default, Settings
from otel_measure.errors import ConfigurationError
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.otlp.sending import OtlpSenders
from otel_measure.runtime import Runtime
from otel_measure.users.service import UserAnalyticsService

_log: Final = logging.getLogger("otel_measure")
_lock = threading.RLock()
_current: Runtime | None = None
_forking: Final = threading.local()  # `held`: the runtime that waits for the fork of a thread


def configure(
    *,
    service_name: str | Default = DEFAULT,
    environment: str | Default = DEFAULT,
    store: str | os.PathLike[str] | Default | None = DEFAULT,
    otlp_endpoint: str | Default | None = DEFAULT,
    timezone: str | Default = DEFAULT,
    settings: Settings | None = None,
) -> None:
    """Set this process up; optional, since the first service call does it with defaults and the environment.

    Args:
        service_name: where every record says it comes from.
        environment: likewise.
        store: a path, `":memory:"`, or `None` for no store.
        otlp_endpoint: where metrics and events go by OTLP/HTTP.
        timezone: the IANA zone whose days are days.
        settings: everything at once, instead of the others.

    Raises:
        ConfigurationError: a bad value, or a second call that wants something else.
        MeasureError: the store cannot be opened.
    """
    given: dict[str, Any] = {
        "service_name": service_name,
        "environment": environment,
        "store": os.fspath(store) if isinstance(store, os.PathLike) else store,
        "otlp_endpoint": otlp_endpoint,
        "timezone": timezone,
    }
    if settings is not None and any(value is not DEFAULT for value in given.values()):
        raise ConfigurationError("configure() takes settings=… or single settings, not both")
    adopt(settings or Settings.load(**given))


def adopt(settings: Settings | None) -> Runtime:
    """Return this process's runtime, made with these settings when there is none yet."""
    global _current
    with _lock:
        if _current is None:
            wanted = settings or Settings.load()
            made = Runtime(wanted)
            made.start()
            _current = made
            _log.info("otel-measure keeps its data in %s", wanted.store or "no store (store=None)")
        elif settings is not None and (changed := _current.settings.differences(settings)):
            raise ConfigurationError(
                f"configure() was called before with other settings: {', '.join(changed)} differ; "
                "call it once, before the first service call"
            )
        return _current


def current() -> Runtime:
    """Return this process's runtime, made with defaults when nobody has configured it."""
    return _current if _current is not None else adopt(None)


def install(runtime: Runtime | None) -> Runtime | None:
    """Make another runtime this process's and return the one before, which goes on; for tests."""
    global _current
    with _lock:
        before, _current = _current, runtime
    return before


def flush(timeout_s: float = 5.0) -> bool:
    """Commit what this process has recorded; `False` when that did not succeed in time."""
    return _current.flush(timeout_s) if _current is not None else True


def shutdown(timeout_s: float = 5.0) -> bool:
    """Flush, stop and forget this process's runtime."""
    global _current
    with _lock:
        runtime, _current = _current, None
    return runtime.shutdown(timeout_s) if runtime is not None else True


def get_infrastructure_service() -> InfrastructureService:
    """Return the service that knows the machine."""
    return current().infrastructure


def get_ai_model_service() -> AiModelService:
    """Return the service that knows the models."""
    ai = current().ai
    ai.warm()
    return ai


def get_user_analytics_service() -> UserAnalyticsService:
    """Return the service that knows the users."""
    return current().users


def get_otlp_senders() -> OtlpSenders:
    """Return who sent what by OTLP in the last hour to the processes that share the store, and what became of it.

    Raises:
        NoStore: this process has none.
    """
    return current().receiver.senders()


def _before_fork() -> None:
    _forking.held = _current
    if _forking.held is not None:
        _forking.held.before_fork()


def _after_fork_in_parent() -> None:
    # Not the one that there is now: another thread may have ended the one that is held, or made one.
    if _forking.held is not None:
        _forking.held.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # the parent's may be held by a thread that is not here
    if _current is not None:
        _current.after_fork_in_child()


atexit.register(shutdown)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
