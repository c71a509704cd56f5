"""What really happened: the calls that the fake provider answered, with their tokens, price and user."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple


class ListPrice(NamedTuple):
    """USD per million tokens, as the provider's page has it; typed by hand, so that it checks the price table too."""

    input: str
    cached: str
    written: str
    output: str


PRICES: Final = {
    "gpt-4o": ListPrice("2.5", "1.25", "2.5", "10"),
    "gpt-4o-mini": ListPrice("0.15", "0.075", "0.15", "0.6"),
    "gpt-4.1-mini": ListPrice("0.4", "0.1", "0.4", "1.6"),
    "text-embedding-3-small": ListPrice("0.02", "0.02", "0.02", "0"),
    "claude-sonnet-4-5": ListPrice("3", "0.3", "3.75", "15"),
    "claude-3-5-haiku-latest": ListPrice("0.8", "0.08", "1", "4"),
    "gemini-2.0-flash": ListPrice("0.1", "0.025", "0.1", "0.4"),
    "amazon.nova-lite-v1:0": ListPrice("0.06", "0.015", "0.06", "0.24"),
}


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens of one call; those read from and written to a cache are part of the input."""

    input: int
    output: int = 0
    cached: int = 0
    written: int = 0


@dataclass(slots=True)
class Entry:
    """What is true of the calls that asked for one model."""

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)
    uncached_cost_usd: Decimal | None = Decimal(0)
    users: dict[str, int] = field(default_factory=dict)
    failed_users: dict[str, int] = field(default_factory=dict)


class ProviderLedger:
    """Counts each call once, when it is answered."""

    def __init__(self) -> None:
        self._models: dict[str, Entry] = {}
        self._calls = 0
        self._lock = threading.Lock()

    def usage(
        self,
        asked: str,
        user: str | None = None,
        *,
        is_embedding: bool = False,
        is_cached: bool = False,
        is_written: bool = False,
    ) -> Used:
        """Enter a call that succeeds, and return what it used: other numbers than any other call."""
        with self._lock:
            entry = self._enter(asked, user)
            n = self._calls
            used = Used(
                (2000 if is_cached or is_written else 100) + 7 * n,
                0 if is_embedding else 20 + 3 * n,
                1536 if is_cached else 0,
                1024 if is_written else 0,
            )
            entry.input_tokens += used.input
            entry.output_tokens += used.output
            entry.cached_input_tokens += used.cached
            price = PRICES.get(asked)
            if price is None or entry.cost_usd is None or entry.uncached_cost_usd is None:
                entry.cost_usd = entry.uncached_cost_usd = None
            else:
                entry.cost_usd += cost_usd(price, used)
                entry.uncached_cost_usd += cost_usd(price, Used(used.input, used.output))
            return used

    def failure(self, asked: str, user: str | None = None) -> None:
        """Enter a call that fails."""
        with self._lock:
            entry = self._enter(asked, user)
            entry.errors += 1
            if user:
                entry.failed_users[user] = entry.failed_users.get(user, 0) + 1

    def _enter(self, asked: str, user: str | None) -> Entry:
        self._calls += 1
        entry = self._models.setdefault(asked, Entry())
        entry.calls += 1
        if user:
            entry.users[user] = entry.users.get(user, 0) + 1
        return entry

    def models(self) -> dict[str, dict[str, Any]]:
        """Return the right answer for each model, by the name that was asked for."""
        with self._lock:
            return {
                model: {
                    "calls": entry.calls,
                    "errors": entry.errors,
                    "input_tokens": entry.input_tokens,
                    "output_tokens": entry.output_tokens,
                    "cached_input_tokens": entry.cached_input_tokens,
                    "cost_usd": None if entry.cost_usd is None else float(entry.cost_usd),
                    # As the price list has it for a sender that tells nothing of the cache.
                    "uncached_cost_usd": None if entry.uncached_cost_usd is None else float(entry.uncached_cost_usd),
                    "users": dict(sorted(entry.users.items())),
                    "failed_users": dict(sorted(entry.failed_users.items())),
                }
                for model, entry in sorted(self._models.items())
            }


def cost_usd(price: ListPrice, used: Used) -> Decimal:
    """Return what a call costs."""
    parts = (
        (used.input - used.cached - used.written, price.input),
        (used.cached, price.cached),
        (used.written, price.written),
        (used.output, price.output),
    )
    return sum((tokens * Decimal(rate) for tokens, rate in parts), Decimal(0)) / 1_000_000
