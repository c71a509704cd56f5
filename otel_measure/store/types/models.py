"""Models as a store knows them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from otel_measure.records.kinds import Json

ModelKey: TypeAlias = tuple[str, str]


class Spent(NamedTuple):
    """What calls cost that have something in common.

    Attributes:
        keys: what they have in common, in the order asked for; `None` where a call does not say it.
        priced: calls with a cost.
    """

    keys: tuple[str | None, ...]
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cost_nano_usd: int
    priced: int


class Model(NamedTuple):
    """A registered model."""

    name: str
    version: str
    type: str = "other"
    metadata: dict[str, Json] | None = None
    targets: dict[str, float] | None = None
