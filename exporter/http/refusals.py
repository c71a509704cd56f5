"""What is refused is logged by its kind, at most once a minute with how often: a flood of it fills no disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 60.0
_log: Final = logging.getLogger("otel_measure")


class RefusalLog:
    """Counts refusals by kind and logs the first of a kind at once, the others together once a minute.

    Args:
        log: is given each line.
        interval_s: between two lines of one kind.
        clock_s: seconds of a clock that never steps back.
    """

    def __init__(
        self,
        log: Callable[[str], object] = _log.warning,
        interval_s: float = INTERVAL_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._interval_s = interval_s
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._unsaid: dict[str, int] = {}
        self._next_line_s: dict[str, float] = {}

    def note(self, kind: str) -> None:
        """Count one refusal; `kind` is what the log says, one of a fixed few, never what a client sent."""
        with self._lock:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            lines = self._due(kind)
        self._say(lines)

    def say_rest(self) -> None:
        """Log what was counted since its kind was logged last, where that is long enough ago."""
        if not self._unsaid:
            return
        with self._lock:
            lines = [line for kind in list(self._unsaid) for line in self._due(kind)]
        self._say(lines)

    def _due(self, kind: str) -> list[str]:
        now_s = self._clock_s()
        if now_s < self._next_line_s.get(kind, now_s):
            return []
        is_first = kind not in self._next_line_s
        self._next_line_s[kind] = now_s + self._interval_s
        n = self._unsaid.pop(kind)
        return [f"{kind} (logged at most once a minute)" if is_first else f"{kind} ({n} times since the last line)"]

    def _say(self, lines: list[str]) -> None:
        for line in lines:
            self._log(line)
