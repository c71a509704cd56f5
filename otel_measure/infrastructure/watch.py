"""Watching a service: a thread that probes it again and again, and reports whether it is up."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

Probe: TypeAlias = str | Callable[[], object]
Check: TypeAlias = Callable[[], str | None]  # why the service is down, None when it is up

TIMEOUT_S: Final = 10.0
RETRIES: Final = 1
RETRY_AFTER_S: Final = 5.0
MOST_RETRIES: Final = 10
_REASON_CHARS: Final = 200


class Watch:
    """One watched service.

    Args:
        probe: a URL, or a callable that returns something true while the service is up.
        interval_s: seconds from an answer to the next question.
        on_answer: takes why the service is down (None: it is up) after each question, and for how many seconds it
            has been failing.
        retries: how often a probe that failed is asked again, 5 s later, before it is an outage; one lost packet is
            none. The outage begins at the first failure.
        timeout_s: an answer that takes longer is none.
        clock: monotonic seconds.

    Raises:
        ValueError: an argument breaks its rule.
    """

    def __init__(
        self,
        probe: Probe,
        interval_s: float,
        on_answer: Callable[[str | None, float], None],
        *,
        retries: int = RETRIES,
        retry_after_s: float = RETRY_AFTER_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(interval_s, bool) or not 0 < interval_s <= 86_400:
            raise ValueError(f"interval_s must be a number of seconds above 0 and up to 86400, not {interval_s!r}")
        if isinstance(retries, bool) or not (retries == int(retries) and 0 <= retries <= MOST_RETRIES):
            raise ValueError(f"retries must be a whole number from 0 to {MOST_RETRIES}, not {retries!r}")
        self._check = http_check(probe, timeout_s) if isinstance(probe, str) else callable_check(probe)
        self._interval_s = interval_s
        self._on_answer = on_answer
        self._retries = retries
        self._retry_after_s = retry_after_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._asked_s: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, name: str) -> None:
        """Ask now and then every `interval_s` seconds, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=f"otel-measure-watch-{name}", daemon=True)
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether anybody asks."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped.is_set()

    def stop(self) -> None:
        """Probe no more; the answer to a probe that still waits is dropped."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.probe()
            self._stopped.wait(self._interval_s)

    def probe(self) -> None:
        """Ask, once more after each failure that may be retried, and report the answer."""
        began_s = self._clock()
        reason = self._asked()
        for _ in range(self._retries):
            if reason is None or self._stopped.wait(self._retry_after_s):
                break
            reason = self._asked()
        self._report(reason, 0.0 if reason is None else self._clock() - began_s)

    def _asked(self) -> str | None:
        self._asked_s = asked_s = self._clock()
        reason = self._check()
        self._asked_s = None
        return self._no_answer if self._clock() - asked_s > self._timeout_s else reason

    def report_hung(self) -> None:
        """Report the service as down while a probe hangs for longer than the time-out: it cannot report that itself."""
        asked_s = self._asked_s
        if asked_s is not None and self._clock() - asked_s > self._timeout_s:
            self._report(self._no_answer, self._clock() - asked_s)

    @property
    def _no_answer(self) -> str:
        return f"no answer within {self._timeout_s:g} s"

    def _report(self, reason: str | None, failing_for_s: float) -> None:
        if not self._stopped.is_set():
            self._on_answer(reason, failing_for_s)


def http_check(url: str, timeout_s: float) -> Check:
    """Return the check that asks a URL by GET: any answer below 400, after redirects, is up.

    Raises:
        ValueError: it is no http or https URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"probe must be an http(s) URL or a callable, not {url!r}")

    def check() -> str | None:
        from urllib.error import HTTPError  # loading urllib.request takes longer than loading all of ours
        from urllib.request import Request, urlopen

        try:
            with urlopen(Request(url, headers={"User-Agent": "otel-measure"}), timeout=timeout_s):
                return None
        except HTTPError as error:
            with error:
                return f"HTTP {error.code} {error.reason}"[:_REASON_CHARS]
        except Exception as error:
            return _sentence(error)

    return check


def callable_check(probe: Callable[[], object]) -> Check:
    """Return the check that calls: something true is up; something false, or an exception, is down.

    Raises:
        ValueError: it cannot be called, or only awaited.
    """
    if not callable(probe):
        raise ValueError(f"probe must be an http(s) URL or a callable, not {probe!r}")
    if inspect.iscoroutinefunction(probe):
        raise ValueError(f"probe must be a plain function, for it is called in a thread of its own, not {probe!r}")

    def check() -> str | None:
        try:
            answer = probe()
            return None if answer else f"the probe returned {answer!r}"[:_REASON_CHARS]
        except Exception as error:
            return _sentence(error)

    return check


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")[:_REASON_CHARS]
