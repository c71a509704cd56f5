"""What calls cost by user, repository and model: who and what the money went to, and how much of it nobody can say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Final, Literal, TypeAlias, get_args

from otel_measure.conventions import instruments
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.store.types.models import Spent

Dimension: TypeAlias = Literal["user", "repository", "model", "version"]
DIMENSIONS: Final = get_args(Dimension)


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
        rows: the dearest first.
        unattributed_usd: what the calls cost that name neither a user nor a repository, or that only metrics tell of.
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


def spending(spent: Sequence[Spent], uses: Iterable[ModelUse], by: Sequence[str], span: TimeSpan) -> Spending:
    """Return the report.

    Args:
        spent: what calls cost that name a user or a repository, the dearest first.
        uses: what all models did in the window.
        by: the names of the keys.
        span: the window.
    """
    every = list(uses)
    total, named = sum(use.cost_nano_usd for use in every), sum(each.cost_nano_usd for each in spent)
    is_priced = any(use.priced for use in every)
    return Spending(
        rows=tuple(_row(each, by) for each in spent),
        unattributed_usd=max(total - named, 0) / instruments.NANO if is_priced else nan,
        unattributed_requests=max(sum(use.requests for use in every) - sum(each.requests for each in spent), 0),
        total_usd=total / instruments.NANO if is_priced else nan,
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
