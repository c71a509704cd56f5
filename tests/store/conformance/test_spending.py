"""What calls cost by whom, a page at a time: the page of all rows as plain Python groups, sorts and cuts them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import cycle, product

from otel_measure.ai.spending import page_of_spending, spending
from otel_measure.definitions.pages import Page
from otel_measure.definitions.windows import TimeSpan
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.protocol import Store
from otel_measure.store.spent_sql import RANKS
from otel_measure.store.types.models import Spent, SpentRows
from tests.comparing import comparable
from tests.facts import DAY, HOUR, NOON, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase
from tests.store.conformance.telling import told

BYS: tuple[tuple[str, ...], ...] = (("user",), ("repository", "model"), ("version", "user"))
SORTS = ("", *RANKS, *(f"-{column}" for column in RANKS))
PARTS = ((1000, 0), (4, 0), (3, 2), (5, 500), (0, 0))  # limit and offset
SPAN = TimeSpan(NOON - HOUR, NOON + HOUR, NOON // DAY, True, "UTC")


def calls(n: int) -> list[Inference]:
    """Return calls of an hour, of which many say nothing and cost the same."""
    chance = random.Random(11)
    return [
        inference(
            f"call-{i}", NOON + i, origin=Origin("shop"), model=chance.choice("mn"),
            user_id=chance.choice([None, "u", "v", "Z", "é", '"\n', f"u{i}"]),
            repository=chance.choice([None, None, "shop"]), error_type=chance.choice([None, "Timeout"]),
            cost_usd=chance.choice([None, None, 0.0, 0.25, 1e-9]),
            input_tokens=chance.choice([None, 1, 10**12]), cached_input_tokens=chance.choice([None, 0, 1]),
        )
        for i in range(n)
    ]  # fmt: skip


def grouped(given: Iterable[Inference], by: Sequence[str]) -> SpentRows:
    """Return what calls cost that name a user or a repository, the dearest first."""
    sums: dict[tuple[str | None, ...], Spent] = {}
    for call in given:
        if call.user_id is None and call.repository is None:
            continue
        named = {"user": call.user_id, "repository": call.repository, "model": call.model, "version": call.version}
        keys = tuple(named[each] for each in by)
        one = (
            1, call.error_type is not None, call.input_tokens or 0, call.output_tokens or 0,
            call.cached_input_tokens or 0, round((call.cost_usd or 0) * 10**9), call.cost_usd is not None,
        )  # fmt: skip
        known = sums.get(keys, Spent(keys, 0, 0, 0, 0, 0, 0, 0))
        sums[keys] = Spent(keys, *(a + b for a, b in zip(known[1:], one, strict=True)))
    rows = sorted(sums.values(), key=lambda each: (-each.cost_nano_usd, [key or "" for key in each.keys]))
    of_all = (sum(getattr(row, name) for row in rows) for name in ("requests", "cost_nano_usd", "priced"))
    return SpentRows(rows, len(rows), *of_all)


def check(store: Store, given: Sequence[Inference]) -> None:
    """Ask for all rows and for every kind of page."""
    for by in BYS:
        assert asked(store, lambda m, by=by: m.spending.spent(SPAN.start, SPAN.end, by)) == grouped(given, by)  # type: ignore[misc]
    for by, (sort, (limit, offset)) in zip(cycle(BYS), product(SORTS, PARTS), strict=False):
        page, whole = Page(limit, offset, sort), grouped(given, by)
        rows, total, _ = page_of_spending(spending(whole, (), by, SPAN), page)
        found = asked(store, lambda m, by=by, page=page: m.spending.spent(SPAN.start, SPAN.end, by, page))  # type: ignore[misc]
        assert found[1:] == whole[1:], (by, page)
        assert comparable(spending(found, (), by, SPAN)) == comparable(rows), (by, page)
        assert found.total == total


def test_a_page_is_that_of_all_rows(engine: EngineCase) -> None:
    """Sorted by any number, up or down, what is unknown last; cut anywhere; with the sums of all rows.

    So it is of calls that were recorded and of others that spans tell of beside them, of the same users or not.
    """
    store = engine.open()
    assert asked(store, lambda m: m.spending.spent(SPAN.start, SPAN.end, ("user",), Page())) == SpentRows(
        [], 0, 0, 0, 0
    )
    recorded, others = calls(60)[:40], calls(60)[40:]
    store.accept(recorded)
    check(store, recorded)
    fields = ("user_id", "repository", "error_type", "cost_usd", "input_tokens", "cached_input_tokens")
    tellings = [
        told(n, took_ms=1.0, **{name: getattr(call, name) for name in fields}) for n, call in enumerate(others, 1)
    ]
    store.take_tellings(tellings)
    check(store, [*recorded, *(each.record for each in tellings if each.record is not None)])
