"""Prices per token and per request, by the size of the prompt and by date: what a plain call costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

BASE: Final = -1
"""Where the tier begins that every prompt falls into."""


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token, and per request; ``None`` where such tokens have no price of their own.

    Cached and cache-writing input tokens without a rate cost what other input tokens do. Input or output tokens
    without a rate make the inference unpriced, unless there are none of them (embeddings have no output).
    """

    input_usd: float | None
    output_usd: float | None
    cached_input_usd: float | None = None
    cache_write_usd: float | None = None
    request_usd: float = 0.0

    def cost_usd(
        self, input_tokens: int, output_tokens: int | None, cached: int = 0, written: int = 0, requests: int = 1
    ) -> float | None:
        """Cost of these tokens; ``None`` where a rate or a count that is needed is unknown.

        ``cached`` and ``written`` are parts of ``input_tokens``; what exceeds it is not charged a second time.
        """
        total_usd = self.request_usd * requests
        if self.input_usd is not None:
            plain = max(0, input_tokens - cached - written)
            total_usd += plain * self.input_usd
            total_usd += cached * (self.input_usd if self.cached_input_usd is None else self.cached_input_usd)
            total_usd += written * (self.input_usd if self.cache_write_usd is None else self.cache_write_usd)
        elif input_tokens:
            return None
        if self.output_usd is not None:
            return None if output_tokens is None else total_usd + output_tokens * self.output_usd
        return None if output_tokens else total_usd


@dataclass(frozen=True, slots=True)
class Tariff:
    """The prices of a model while ``active(ts)`` holds (``ts`` in µs UTC).

    Attributes:
        tiers: (start, rates), ascending: the last whose start the input tokens exceed prices *all* tokens.
        active: whether the tariff is in force at a time; ``None`` for always.
    """

    tiers: tuple[tuple[int, Rates], ...]
    active: Callable[[int], bool] | None = None

    def rates(self, input_tokens: int) -> Rates:
        """The rates of the tier that this many input tokens fall into."""
        chosen = self.tiers[0][1]
        for start, rates in self.tiers[1:]:
            if input_tokens <= start:
                break
            chosen = rates
        return chosen


Schedule: TypeAlias = tuple[Tariff, ...]
"""Tariffs of one model: the first active one counts, the last one where none is."""


def tariff_at(schedule: Schedule, ts: int) -> Tariff:
    """Return the tariff that counts at a time, microseconds UTC."""
    for tariff in schedule:
        if tariff.active is None or tariff.active(ts):
            return tariff
    return schedule[-1]
