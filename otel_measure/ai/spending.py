"""What calls cost by user, repository and model: who and what the money went to, and how much of it nobody can say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Final, Literal, TypeAlias, get_args

from otel_measure.conventions import instruments
from otel_measure.definitions.columns import columns_of
from otel_measure.definitions.pages import Page, rows_of
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.store.types.models import CallTotals, Spent, SpentRows

Dimension: TypeAlias = Literal["user", "repository", "model", "version"]
DIMENSIONS: Final = get_args(Dimension)
SPENDING_KEYS: Final = (("by", DIMENSIONS),)
"""The columns of a row that its field `by` has."""
SPENDING_SEARCHED: Final = tuple(f"by.{name}" for name in DIMENSIONS)


@dataclass(frozen=True, slots=True)
class SpendingRow:
    """Calls that have something in common, and what they cost.

    Attributes:
        by: what they have in common; `None` for calls that do not say it.
        cost_usd: of the priced calls; `nan` without any.
        priced_ratio: the share of calls with a cost.
    """

    by: dict[str, str | None]
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cost_usd: float
    priced_ratio: float


@dataclass(frozen=True, slots=True)
class Spending:
    """What calls of a window cost.

    Attributes:
        rows: the dearest first, or those of the page that is asked for.
        unattributed_usd: what the calls cost that name neither a user nor a repository, or that only metrics tell of;
            `nan` where none of them has a cost.
        total_usd: of all calls.
    """

    rows: tuple[SpendingRow, ...]
    unattributed_usd: float
    unattributed_requests: int
    total_usd: float
    window: Window


def dimensions(by: str | Sequence[str]) -> tuple[str, ...]:
    """Return by what is asked.

    Raises:
        ValueError: it is nothing, something twice, or something else than one may ask by.
    """
    asked = tuple(by.split(",") if isinstance(by, str) else by)
    if not asked or len({*asked}) < len(asked) or not {*asked} <= {*DIMENSIONS}:
        raise ValueError(f"by must be some of {', '.join(DIMENSIONS)}, each once, not {','.join(asked)!r}")
    return asked


def is_told_by_store(page: Page) -> bool:
    """Whether a store can tell a page: nothing is sought or sorted by names, in any case as Python knows cases."""
    return not page.q.split() and page.column not in SPENDING_SEARCHED


def page_of_spending(whole: Spending, page: Page) -> tuple[Spending, int, int]:
    """Return a page of a report that has all rows, how many it has, and how many of them hold the words of `q`."""
    rows, total, matched = rows_of(whole.rows, page, columns_of(SpendingRow, SPENDING_KEYS), SPENDING_SEARCHED)
    return replace(whole, rows=tuple(rows)), total, matched


def spending(spent: SpentRows, sums: Iterable[CallTotals], by: Sequence[str], span: TimeSpan) -> Spending:
    """Return the report.

    Args:
        spent: what calls cost that name a user or a repository, in the same minutes; the rows that are asked for.
        sums: what all calls of the window add up to, by model.
        by: the names of the keys.
        span: the window.
    """
    every = list(sums)
    total = sum(each.cost_nano_usd for each in every)
    priced = sum(each.priced for each in every)
    of_nobody = max(sum(each.requests for each in every) - spent.requests, 0)
    is_known = priced > spent.priced or (priced > 0 and not of_nobody)
    return Spending(
        rows=tuple(_row(each, by) for each in spent.rows),
        unattributed_usd=max(total - spent.cost_nano_usd, 0) / instruments.NANO if is_known else nan,
        unattributed_requests=of_nobody,
        total_usd=total / instruments.NANO if priced else nan,
        window=span.window,
    )


def _row(spent: Spent, by: Sequence[str]) -> SpendingRow:
    return SpendingRow(
        by=dict(zip(by, spent.keys, strict=True)),
        requests=spent.requests,
        errors=spent.errors,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        cached_input_tokens=spent.cached_input_tokens,
        cost_usd=spent.cost_nano_usd / instruments.NANO if spent.priced else nan,
        priced_ratio=spent.priced / spent.requests,
    )
