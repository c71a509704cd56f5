"""The client library, imported when it is first needed, by whichever thread, and never while the process is copied.

What a thread was importing when another one forked nobody can import in the child: whoever tries waits for the thread,
which is not there. So a fork waits until what is being imported here is. The client imports numpy and pandas, where
they are installed, at its first insert; an application may want them in the child as well.
"""

from __future__ import annotations

# Also for the import: what Python loads when it first connects, opens a store or waits for threads of a pool, and what
# is to be told of forks, before one waits here.
import concurrent.futures.thread  # noqa: F401
import encodings.idna  # noqa: F401
import importlib.readers  # noqa: F401
import logging  # noqa: F401
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from otel_measure.errors import ConfigurationError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_FORK_WAITS_S: Final = 30.0  # a thread that forks may itself be importing what is waited for here
_AT_INSERTS: Final = ("np", "pd")
_importing = threading.RLock()
_forking: Final = threading.local()  # `holds`: whether the thread that forks has the lock


def client_maker() -> Callable[..., Client]:
    """Return what makes a client.

    Raises:
        ConfigurationError: the library is not installed.
    """
    try:
        with _importing:
            from clickhouse_connect import get_client
    except ImportError as error:
        raise ConfigurationError("ClickHouse needs its client: pip install 'otel-measure[clickhouse]'") from error
    return get_client


def load_for_inserts() -> None:
    """Import what the client looks for at its first insert; there is one."""
    with _importing:
        from clickhouse_connect.driver import options

        for name in _AT_INSERTS:
            getattr(options, name)


def _before_fork() -> None:
    _forking.holds = _importing.acquire(timeout=_FORK_WAITS_S)


def _after_fork_in_parent() -> None:
    if _forking.holds:
        _importing.release()


def _after_fork_in_child() -> None:
    global _importing
    _importing = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
