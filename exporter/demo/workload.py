"""A synthetic workload: what a small product with four models and a few hundred users would do, through the public API.

The same seed and the same times give the same calls. Nothing here knows of the server or the store.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final, Protocol

from exporter.demo import outcomes as demo_outcomes

HISTORY: Final = timedelta(days=28)
INFERENCE_HISTORY: Final = timedelta(hours=6)
TICK_S: Final = 1.0
SEED: Final = 1

_STEP: Final = timedelta(minutes=10)
_SESSIONS_PER_HOUR: Final = 9.0
_USERS_AT_START: Final = 120
_NEW_USERS_PER_DAY: Final = 4
_PAGES: Final = ("/", "/pricing", "/docs", "/chat", "/search", "/settings", "/blog")
_DEVICES: Final = ("desktop", "desktop", "desktop", "mobile", "mobile", "tablet")
_REFERRERS: Final = (None, None, "https://search.example/", "https://news.example/")
_ERRORS: Final = ("timeout", "rate_limit", "connection_error")
# Once an hour one model has a bad time, so that percentiles and error rates have something to say.
_BAD_MINUTES: Final = range(40, 44)


@dataclass(frozen=True, slots=True)
class DemoModel:
    """How one model behaves.

    Attributes:
        per_minute: calls at the busiest hour.
        median_ms, spread: of the lognormal latency; the spread is the standard deviation of its logarithm.
        input_tokens, output_tokens: medians; 0 for a model that reads no tokens.
        usd_per_million: price of input and output tokens; `None` leaves calls without a cost.
        p95_target_ms: what its team aims at; `None` takes the default, which is meant for small models.
    """

    name: str
    version: str
    type: str
    per_minute: float
    median_ms: float
    spread: float
    error_rate: float
    input_tokens: int = 0
    output_tokens: int = 0
    usd_per_million: tuple[float, float] | None = None
    p95_target_ms: float | None = None
    has_bad_minutes: bool = False


MODELS: Final = (
    DemoModel("gpt-4o", "2024-08-06", "nlp_generation", 14, 820, 0.45, 0.006, 900, 260, (2.5, 10.0), 2000, True),
    DemoModel("claude-sonnet-4", "2025-05-14", "nlp_generation", 8, 1150, 0.38, 0.004, 1400, 420, (3.0, 15.0), 2500),
    DemoModel("text-embedding-3-small", "1", "embeddings", 20, 48, 0.30, 0.002, 320, 0, (0.02, 0.0)),
    DemoModel("churn-classifier", "3.2.0", "classification", 10, 9, 0.25, 0.001),
)


class RecordsInferences(Protocol):
    """The methods of the model service that the workload calls."""

    def register_model(
        self, model_name: str, model_version: str, model_type: str, *, targets: Mapping[str, float] | None = None
    ) -> None:
        """Register a model."""

    def record_inference(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        *,
        user_id: str | None = None,
        error_type: str | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Record one call of a model."""


class TracksEvents(Protocol):
    """The method of the user service that the workload calls."""

    def track_event(
        self,
        user_id: str,
        event_type: str,
        event_name: str,
        *,
        page_url: str | None = None,
        session_id: str | None = None,
        device_type: str | None = None,
        referrer: str | None = None,
        value: float | None = None,
        currency: str | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Record one thing a user did."""


@dataclass(frozen=True, slots=True)
class _PlannedEvent:
    """One thing a user will do."""

    type: str
    name: str
    page_url: str | None = None
    value: float | None = None


_CLICK: Final = _PlannedEvent("click", "open_menu")
_ENDINGS: Final = (
    (0.10, _PlannedEvent("feature_use", "export")),
    (0.06, _PlannedEvent("signup", "signup")),
    (0.05, _PlannedEvent("conversion", "conversion")),
    (0.02, _PlannedEvent("purchase", "plan_upgrade", "/pricing", 29.0)),
    (0.01, _PlannedEvent("error", "upload_failed", "/chat")),
)


class DemoWorkload:
    """Sessions of users and calls of models from `start` on, played up to the time that is asked for.

    Args:
        ai: the model service.
        users: the user service.
        rng: the source of everything that varies.
        start: when the first user comes.
        inferences_from: when the first model is called; not before `start`.
    """

    def __init__(
        self,
        ai: RecordsInferences,
        users: TracksEvents,
        rng: random.Random,
        *,
        start: datetime,
        inferences_from: datetime,
    ) -> None:
        self._ai = ai
        self._users = users
        self._rng = rng
        self._start = start
        self._inferences_from = inferences_from
        self._played_until = start
        self._coming: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self._planned = 0
        for model in MODELS:
            targets = None if model.p95_target_ms is None else {"latency_p95_ms": model.p95_target_ms}
            ai.register_model(model.name, model.version, model.type, targets=targets)

    def advance(self, until: datetime) -> int:
        """Play everything that happens before `until`, in the order of time; return how much that was."""
        while self._played_until < until:
            end = min(self._played_until + _STEP, until)
            self._plan(self._played_until, end)
            self._played_until = end
        played = 0
        while self._coming and self._coming[0][0] < until:
            at, _, action = heappop(self._coming)
            action(at)
            played += 1
        return played

    def _plan(self, start: datetime, end: datetime) -> None:
        busy = busyness(start)
        for at in self._arrivals(_SESSIONS_PER_HOUR * busy / 3600, start, end):
            self._plan_session(at)
        for model in MODELS:
            for at in self._arrivals(model.per_minute * busy / 60, max(start, self._inferences_from), end):
                self._at(at, self._inference(model))

    def _arrivals(self, per_second: float, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the times of a Poisson process."""
        at = start + timedelta(seconds=self._rng.expovariate(per_second))
        while at < end:
            yield at
            at += timedelta(seconds=self._rng.expovariate(per_second))

    def _at(self, at: datetime, action: Callable[[datetime], object]) -> None:
        self._planned += 1
        heappush(self._coming, (at, self._planned, action))

    def _plan_session(self, at: datetime) -> None:
        user, session = self._user(at), f"{self._rng.getrandbits(64):016x}"
        device, referrer = self._rng.choice(_DEVICES), self._rng.choice(_REFERRERS)
        for event in self._session():
            self._at(at, self._track(user, session, device, referrer, event))
            at += timedelta(seconds=5 + self._rng.expovariate(1 / 40))

    def _user(self, at: datetime) -> str:
        population = _USERS_AT_START + _NEW_USERS_PER_DAY * ((at - self._start) / timedelta(days=1))
        # Squared: some come every day, most now and then.
        return f"demo-user-{int(population * self._rng.random() ** 2):04d}"

    def _session(self) -> Iterator[_PlannedEvent]:
        yield self._page_view()
        if self._rng.random() < 0.3:
            return  # a bounce
        while self._rng.random() < 0.72:
            yield self._page_view() if self._rng.random() < 0.7 else _CLICK
        for chance, event in _ENDINGS:
            if self._rng.random() < chance:
                yield event

    def _page_view(self) -> _PlannedEvent:
        page = self._rng.choice(_PAGES)
        return _PlannedEvent("page_view", page.strip("/") or "home", page)

    def _track(
        self, user: str, session: str, device: str, referrer: str | None, event: _PlannedEvent
    ) -> Callable[[datetime], object]:
        return lambda at: self._users.track_event(
            user,
            event.type,
            event.name,
            page_url=event.page_url,
            session_id=session,
            device_type=device,
            referrer=referrer,
            value=event.value,
            currency="USD" if event.value is not None else None,
            timestamp=at,
        )

    def _inference(self, model: DemoModel) -> Callable[[datetime], object]:
        return lambda at: self._record_inference(model, at)

    def _record_inference(self, model: DemoModel, at: datetime) -> None:
        bad = model.has_bad_minutes and at.minute in _BAD_MINUTES
        failed = self._rng.random() < (model.error_rate * 20 if bad else model.error_rate)
        latency_ms = self._rng.lognormvariate(math.log(model.median_ms * (3 if bad else 1)), model.spread)
        input_tokens = self._tokens(model.input_tokens)
        output_tokens = None if failed else self._tokens(model.output_tokens)
        self._ai.record_inference(
            model.name,
            model.version,
            round(latency_ms, 3),
            input_tokens,
            output_tokens,
            None if failed else cost_usd(model, input_tokens, output_tokens),
            user_id=self._user(at),
            error_type=self._rng.choice(_ERRORS) if failed else None,
            timestamp=at,
        )

    def _tokens(self, median: int) -> int | None:
        return round(self._rng.lognormvariate(math.log(median), 0.5)) if median else None


def busyness(at: datetime) -> float:
    """Return the share of the busiest traffic at a time: high in the afternoon, low at night and at weekends."""
    hour = at.hour + at.minute / 60
    day = 0.55 + 0.45 * math.cos((hour - 15) / 24 * 2 * math.pi)
    return day * (0.6 if at.weekday() >= 5 else 1.0)


def cost_usd(model: DemoModel, input_tokens: int | None, output_tokens: int | None) -> float | None:
    """Return what a call costs; `None` for a model without a price."""
    if model.usd_per_million is None:
        return None
    read, written = model.usd_per_million
    return round(((input_tokens or 0) * read + (output_tokens or 0) * written) / 1e6, 9)


class Demo:
    """Plays a workload beside the server: the past at once, then what happens, second by second.

    Args:
        ai: the model service.
        users: the user service.
        seed: of the workload.
        history: how far back the past goes; nothing happened before `start()` when it is zero.
        now: the clock.
        tick_s: seconds between two looks at the clock.
        outcomes: plays what the product learns beside it; called with the times at which users come, at which models
            are called and at which the demo begins.
    """

    def __init__(
        self,
        ai: RecordsInferences,
        users: TracksEvents,
        *,
        seed: int = SEED,
        history: timedelta = HISTORY,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        tick_s: float = TICK_S,
        outcomes: Callable[[datetime, datetime, datetime], demo_outcomes.Outcomes] | None = None,
    ) -> None:
        self._ai = ai
        self._users = users
        self._seed = seed
        self._history = history
        self._now = now
        self._tick_s = tick_s
        self._outcomes = outcomes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel-measure-demo", daemon=True)

    def start(self) -> None:
        """Start the thread that plays the workload."""
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop the thread, and wait for its last call."""
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        now = self._now()
        start, rng = now - self._history, random.Random(self._seed)
        inferences_from = now - min(self._history, INFERENCE_HISTORY)
        workload = DemoWorkload(self._ai, self._users, rng, start=start, inferences_from=inferences_from)
        outcomes = self._outcomes(start, inferences_from, now) if self._outcomes else None
        until = start
        while not self._stop.is_set():
            # Day by day, so that a stop does not wait for the whole past.
            now = self._now()
            until = min(until + timedelta(days=1), now)
            workload.advance(until)
            if outcomes is not None:
                outcomes.advance(until)
            if until == now:
                self._stop.wait(self._tick_s)
