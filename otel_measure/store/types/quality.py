"""What a store keeps so that models can be judged: predictions with their truths, and references with records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from otel_measure.definitions.quality import RegressionTotals
from otel_measure.records.kinds import Json
from otel_measure.stats.cells import Cells

ReferenceSource: TypeAlias = Literal["given", "window", "first_records"]


class RecordPosition(NamedTuple):
    """Where a record stands among those of its model: by time, then id (in the store's own form)."""

    ts: int
    id: bytes | str


@dataclass(slots=True)
class Labels:
    """Predictions of a model in a window and what became known of them.

    Attributes:
        predictions: inferences with a prediction.
        confusion: (prediction, truth) → how often, where both are labels: text, booleans, whole numbers.
        regression: over the pairs in which both are numbers.
    """

    predictions: int = 0
    confusion: dict[tuple[str, str], int] = field(default_factory=dict)
    regression: RegressionTotals = field(default_factory=RegressionTotals)


class Group(NamedTuple):
    """Whom some predictions are about: those that have this label of this attribute."""

    attribute: str
    label: str


@dataclass(slots=True)
class GroupedLabels:
    """Predictions of a model in a window about groups, by the classes that they name.

    Attributes:
        predictions: group → class → how often it was predicted.
        confusion: group → (prediction, truth) → how often.
    """

    predictions: dict[Group, dict[str, int]] = field(default_factory=dict)
    confusion: dict[Group, dict[tuple[str, str], int]] = field(default_factory=dict)


class JudgedRecord(NamedTuple):
    """A record with a prediction or features, as drift looks at it: the prediction is one of the values."""

    position: RecordPosition
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows of a model are compared with.

    Attributes:
        source: "given" and "window" were set; "first_records" are the first records of the version.
        cells: per feature; the prediction is the feature named "prediction".
        first, last: the first and last record of "first_records".
        not_judged: why a feature has no cells.
    """

    source: ReferenceSource
    cells: Mapping[str, Cells]
    first: RecordPosition | None = None
    last: RecordPosition | None = None
    not_judged: Mapping[str, str] = field(default_factory=dict)
