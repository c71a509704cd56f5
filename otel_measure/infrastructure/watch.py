"""Watching a service: a thread that asks it again and again, and tells what it heard."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Probe: TypeAlias = str | Callable[[], object]
Look: TypeAlias = Callable[[], str | None]  # why the service is down, None when it is up

TIMEOUT_S: Final = 10.0
_REASON_CHARS: Final = 200


class Watch:
    """One watched service.

    Args:
        probe: a URL, or a callable that returns something true while the service is up.
        interval_s: seconds from an answer to the next question.
        tell: takes why the service is down (None: it is up) after each question.
        timeout_s: an answer that takes longer is none.
        clock: monotonic seconds.

    Raises:
        ValueError: an argument breaks its rule.
    """

    def __init__(
        self,
        probe: Probe,
        interval_s: float,
        tell: Callable[[str | None], None],
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(interval_s, bool) or not 0 < interval_s <= 86_400:
            raise ValueError(f"interval_s must be a number of seconds above 0 and up to 86400, not {interval_s!r}")
        self._look = http_look(probe, timeout_s) if isinstance(probe, str) else callable_look(probe)
        self._interval_s = interval_s
        self._tell = tell
        self._timeout_s = timeout_s
        self._clock = clock
        self._asked_s: float | None = None
        self._stopped = threading.Event()

    def start(self, name: str) -> None:
        """Ask now and then every `interval_s` seconds, in a thread of its own."""
        threading.Thread(target=self._run, name=f"otel-measure-watch-{name}", daemon=True).start()

    def stop(self) -> None:
        """Ask no more; what a question that still waits is answered is not told any more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._interval_s)

    def look(self) -> None:
        """Ask once and tell."""
        self._asked_s = asked_s = self._clock()
        reason = self._look()
        self._asked_s = None
        late = self._clock() - asked_s > self._timeout_s
        self._say(self._no_answer if late else reason)

    def check(self) -> None:
        """Tell that the service is down when a question waits for too long: a hung probe cannot say so itself."""
        asked_s = self._asked_s
        if asked_s is not None and self._clock() - asked_s > self._timeout_s:
            self._say(self._no_answer)

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self._timeout_s:g} s"

    def _say(self, reason: str | None) -> None:
        if not self._stopped.is_set():
            self._tell(reason)


def http_look(url: str, timeout_s: float) -> Look:
    """Return the look that asks a URL by GET: any answer below 400, after redirects, is up.

    Raises:
        ValueError: it is no http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"probe must be an http(s) URL or a callable, not {url!r}")

    def look() -> str | None:
        from urllib.error import HTTPError  # loading urllib.request takes longer than loading all of ours
        from urllib.request import Request, urlopen

        try:
            with urlopen(Request(url, headers={"User-Agent": "otel-measure"}), timeout=timeout_s):
                return None
        except HTTPError as error:
            with error:
                return f"HTTP {error.code} {error.reason}"[:_REASON_CHARS]
        except Exception as error:
            return _told(error)

    return look


def callable_look(probe: Callable[[], object]) -> Look:
    """Return the look that calls: something true is up; something false, or an exception, is down.

    Raises:
        ValueError: it cannot be called, or only awaited.
    """
    if not callable(probe):
        raise ValueError(f"probe must be an http(s) URL or a callable, not {probe!r}")
    if inspect.iscoroutinefunction(probe):
        raise ValueError(f"probe must be a plain function, for it is called in a thread of its own, not {probe!r}")

    def look() -> str | None:
        try:
            answer = probe()
            return None if answer else f"the probe returned {answer!r}"[:_REASON_CHARS]
        except Exception as error:
            return _told(error)

    return look


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")[:_REASON_CHARS]
