"""Models as a store knows them."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from otel_measure.records.kinds import Json

ModelKey: TypeAlias = tuple[str, str]


class Model(NamedTuple):
    """A registered model."""

    name: str
    version: str
    type: str = "other"
    metadata: dict[str, Json] | None = None
    targets: dict[str, float] | None = None
