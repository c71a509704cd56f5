"""Records to measure with: seeded, in time order, ids as our own."""

from __future__ import annotations

import random
from collections.abc import Iterator

from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Inference, Origin, UserEvent

ORIGIN = Origin("shop", "production")
TYPES = ("page_view", "page_view", "page_view", "click", "feature_use", "purchase")
START_US = 1_767_225_600_000_000  # 2026-01-01


class Workload:
    """An endless stream of records; `users` people, one event every `step_us`."""

    def __init__(self, *, users: int = 200_000, step_us: int = 250_000, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._users = users
        self._step_us = step_us
        self.now_us = START_US
        self._ids = Uuid7(lambda: self.now_us, self._random.randbytes)

    def events(self, n: int) -> list[UserEvent]:
        """Return the next `n` user events; some people are here far more often than others."""
        return list(self._events(n))

    def _events(self, n: int) -> Iterator[UserEvent]:
        for _ in range(n):
            self.now_us += self._step_us
            user = int(self._random.paretovariate(0.6)) % self._users
            yield UserEvent(
                id=self._ids(),
                ts=self.now_us,
                origin=ORIGIN,
                user_id=str(user),
                type=self._random.choice(TYPES),
                name="home",
                page_url="/home",
                session_id=f"s{user}-{self.now_us // 1_800_000_000}",
            )

    def inferences(self, n: int) -> list[Inference]:
        """Return the next `n` inferences of a few models."""
        found = []
        for _ in range(n):
            ts = self.now_us + self._step_us
            found.append(self.inference_of(self._random.choice(("gpt-4o", "gpt-4o-mini", "claude-sonnet")), ts))
        return found

    def inference_of(self, model: str, ts: int) -> Inference:
        """Return a call of a model at a time, microseconds, from which the next records go on."""
        self.now_us = ts
        return Inference(
            id=self._ids(),
            ts=ts,
            origin=ORIGIN,
            model=model,
            version="1",
            latency_ms=self._random.lognormvariate(5, 0.6),
            input_tokens=self._random.randrange(10, 2000),
            output_tokens=self._random.randrange(1, 500),
            cost_usd=0.001 * self._random.randrange(1, 20),
            cost_source="caller",
            provider="openai",
            operation="chat",
        )
