"""What drift keeps of a feature: cells frozen from a reference, and counts per cell for a window.

No value is kept but the edges of bins and the categories seen 20 times or more, so the state of a feature is tens of
numbers, names nobody, and adds across processes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, nextafter, prod
from sys import float_info
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.stats.intervals import UNKNOWN, Interval, difference_interval, wilson_interval

Category: TypeAlias = str | int | float | bool
Value: TypeAlias = Category | None
JsonCells: TypeAlias = dict[str, str | float | list[Category] | list[float] | None]
"""Fields of ``Cells`` as JSON can hold them."""

HEAD: Final = 2000
MAX_BINS: Final = 10
MIN_SAMPLES: Final = 50
MIN_CATEGORY_COUNT: Final = 20
MAX_CATEGORIES: Final = 32
MIN_OWN_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Cells:
    """How the values of one feature fall into cells, and how those of the reference did.

    Attributes:
        kind: ``numeric`` bins by ``edges``; ``categorical`` looks values up in ``categories``, the rest is one cell.
        marks: numeric: the reference's range and the inner edges, ascending, all inclusive from above; categorical:
            the categories that have a cell of their own, most frequent first.
        alpha: Dirichlet parameters of the cells, about the counts of the reference.
        samples: values of the reference that are in cells.
        missing: missing values of the reference.
        autocorrelation_time: how many of its values tell as much as one independent value; None where nobody knows,
            since their order was not that of time.

    Counts of a window (``size`` integers) stand in this order. Numeric: below the range, one per bin, above the range,
    missing, of a wrong type. Categorical: one per category, all others, missing, of a wrong type.
    """

    kind: Literal["numeric", "categorical"]
    marks: tuple[Category, ...]
    alpha: tuple[float, ...]
    samples: int
    missing: int
    autocorrelation_time: float | None = None

    @property
    def own_share(self) -> float:
        """Categorical: the share of the reference whose values have cells of their own."""
        return 1.0 - (self.alpha[-1] - 0.5) / self.samples

    @property
    def size(self) -> int:
        """Length of the counts of a window."""
        return len(self.marks) + 3

    def fold(self, counts: Sequence[int]) -> list[int]:
        """The counts that compare with ``alpha``: what is beyond the range joins the outer bins."""
        inner = list(counts[:-2])
        if self.kind == "numeric":
            inner[1] += inner[0]
            inner[-2] += inner[-1]
            return inner[1:-1]
        return inner

    def to_json(self) -> JsonCells:
        """The cells as a dict of strings, numbers and lists."""
        return {
            "kind": self.kind,
            "marks": list(self.marks),
            "alpha": list(self.alpha),
            "samples": self.samples,
            "missing": self.missing,
            "autocorrelation_time": self.autocorrelation_time,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, object]) -> Cells:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: a field is absent or not of its type.
        """
        match fields:
            case {
                "kind": "numeric" | "categorical" as kind,
                "marks": list(marks),
                "alpha": list(alpha),
                "samples": int(samples),
                "missing": int(missing),
            }:
                time = fields.get("autocorrelation_time")  # what was frozen before this was kept has none
                if time is None or isinstance(time, int | float):
                    return cls(kind, tuple(marks), tuple(map(float, alpha)), samples, missing, time)
        raise ValueError(f"fields={fields!r}: not what Cells.to_json() gives; set the reference again")


def reference_cells(values: Iterable[Value], autocorrelation_time: float | None = None) -> Cells | None:
    """Freeze the cells of one feature from its reference.

    Numbers get min(10, m // 10) bins whose edges are order statistics of the first 2,000 values; alpha is the spacing
    of the edges in ranks plus the later values counted. Numbers that repeat get cells as categories do when they take
    at most 32 values and four in five of the values have cells of their own, and otherwise the same bins (equal edges
    merged) with alpha = counts + 1/2. A category has a cell of its own from 20 occurrences on (at most 32 of them); all
    others are one cell; alpha = counts + 1/2. None and NaN are missing; infinite numbers and what is no scalar are left
    out.

    Args:
        values: the reference, in the order it came; numbers when most are (booleans are categories).
        autocorrelation_time: of these values, where they stand in their order of time.

    Returns:
        The cells; None where there can be no verdict, and ``reason_without_cells`` says why.
    """
    listed = list(values)
    missing = sum(value is None or value != value for value in listed)
    present = present_values(listed)
    cells = _numeric(finite_numbers(present), missing) if is_numeric(present) else _categories(present, missing)
    return cells and replace(cells, autocorrelation_time=autocorrelation_time)


def reason_without_cells(values: Iterable[Value]) -> str:
    """Why ``reference_cells`` gives none for these values, as words."""
    present = present_values(values)
    usable = len(finite_numbers(present)) if is_numeric(present) else len(present)
    if usable < MIN_SAMPLES:
        return f"{usable} values in the reference; {MIN_SAMPLES} are needed"
    return f"no value occurs {MIN_CATEGORY_COUNT} times in the reference, and what is no number cannot be put into bins"


def present_values(values: Iterable[Value]) -> list[Category]:
    """The values that are neither missing nor of a wrong type."""
    return [value for value in values if isinstance(value, (str, int, float)) and value == value]


def is_numeric(present: Sequence[Category]) -> bool:
    """Whether most of the values are numbers; booleans are categories."""
    return 2 * sum(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present) > len(present)


def finite_numbers(present: Sequence[Category]) -> list[float]:
    """The numbers among the values that a float can hold."""
    return [
        value
        for value in present
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= float_info.max
    ]


def _numeric(finite: list[float], missing: int) -> Cells | None:
    head = finite[:HEAD]
    distinct = len(set(head))
    tied = distinct < len(head)
    categories = _categories(finite, missing) if tied else None
    if categories is not None and distinct <= MAX_CATEGORIES and categories.own_share >= MIN_OWN_SHARE:
        return categories
    return _bins(finite, missing, tied=tied) or categories


def _bins(numbers: list[float], missing: int, *, tied: bool) -> Cells | None:
    m = len(numbers)
    if m < MIN_SAMPLES:
        return None
    head = sorted(numbers[:HEAD])
    bins = min(MAX_BINS, m // 10)
    ranks = [round(k * (len(head) + 1) / bins) for k in range(bins + 1)]
    edges = [head[rank - 1] for rank in ranks[1:-1]]
    if tied:
        edges = [edge for edge in sorted(set(edges)) if edge < head[-1]]
        alpha, counted = [0.5] * (len(edges) + 1), numbers
    else:
        alpha, counted = [float(b - a) for a, b in pairwise(ranks)], numbers[HEAD:]
    for value in counted:
        alpha[bisect_left(edges, value)] += 1
    marks = (nextafter(min(numbers), -inf), *edges, max(numbers))
    return Cells("numeric", marks, tuple(alpha), m, missing) if edges else None


def _categories(values: Sequence[Category], missing: int) -> Cells | None:
    frequent = sorted(
        ((n, value) for value, n in Counter(values).items() if n >= MIN_CATEGORY_COUNT), key=_by_frequency
    )
    own = frequent[:MAX_CATEGORIES]
    if not own or len(values) < MIN_SAMPLES:
        return None
    counts = [n for n, _ in own]
    alpha = tuple(n + 0.5 for n in (*counts, len(values) - sum(counts)))
    return Cells("categorical", tuple(value for _, value in own), alpha, len(values), missing)


def _by_frequency(counted: tuple[int, Category]) -> tuple[int, str]:
    return -counted[0], repr(counted[1])


class WindowCounts:
    """Counts of the records of one window, per feature; windows over the same reference add.

    Attributes:
        records: records counted.
        counts: per feature, in the order that ``Cells`` describes.
    """

    __slots__ = ("_bins", "_categories", "counts", "records")

    def __init__(self, reference: Mapping[str, Cells]) -> None:
        """Make an empty window over the features of ``reference``."""
        self.records = 0
        self.counts: dict[str, list[int]] = {name: [0] * cells.size for name, cells in reference.items()}
        self._bins = [
            (name, tuple(map(float, cells.marks)), self.counts[name])
            for name, cells in reference.items()
            if cells.kind == "numeric"
        ]
        self._categories = [
            (name, {value: k for k, value in enumerate(cells.marks)}, len(cells.marks), self.counts[name])
            for name, cells in reference.items()
            if cells.kind == "categorical"
        ]

    def add(self, record: Mapping[str, Value]) -> None:
        """Count one record; a feature it lacks, None and NaN are missing, features without cells are left out."""
        self.records += 1
        value_of = record.get
        for name, edges, counts in self._bins:
            value = value_of(name)
            try:
                counts[bisect_left(edges, value) if value == value else -2] += 1  # type: ignore[type-var]
            except TypeError:
                counts[-2 if value is None else -1] += 1
        for name, cell_of, other, counts in self._categories:
            value = value_of(name)
            try:
                counts[cell_of.get(value, other) if value is not None and value == value else -2] += 1
            except TypeError:
                counts[-1] += 1

    def merge(self, records: int, counts: Mapping[str, Sequence[int]]) -> None:
        """Add what another window over the same reference has counted.

        Raises:
            ValueError: a feature is unknown here or has another number of counts; nothing is added then.
        """
        for name, theirs in counts.items():
            if len(self.counts.get(name, ())) != len(theirs):
                raise ValueError(f"counts[{name!r}]={list(theirs)!r}: not counted over the same reference")
        self.records += records
        for name, theirs in counts.items():
            ours = self.counts[name]
            ours[:] = [a + b for a, b in zip(ours, theirs, strict=True)]


def feature_quality(cells: Cells, counts: Sequence[int]) -> float | None:
    """Data quality of one feature in a window, 0..1.

    ``(1 - excess missing)(1 - out of range)(1 - new categories)(1 - type errors)``, each a share of the window, as far
    as it exceeds that of the reference. Of the next values of what a reference of m numbers is from, 2 / (m + 1) lie
    outside its range; new categories are all that have no cell of their own.

    Returns:
        The quality; None for a window without records.
    """
    if not sum(counts):
        return None
    return prod(
        1.0 - max(0.0, _share(seen) - _share(expected)) for seen, expected in _defects(cells, counts) if seen.of
    )


def feature_quality_interval(cells: Cells, counts: Sequence[int], time: float = 1.0) -> Interval:
    """What the quality may be but for chance: each share within its 95 % interval (Wilson, Newcombe).

    Args:
        cells: of the reference.
        counts: of the window.
        time: the autocorrelation time of both.

    Returns:
        The interval; unknown where the window holds no independent record.
    """
    if sum(counts) < time:
        return UNKNOWN
    excesses = [
        difference_interval(_effective(seen, time), _effective(expected, time))
        if expected.of
        else wilson_interval(*_effective(seen, time))
        for seen, expected in _defects(cells, counts)
        if seen.of
    ]
    return (
        prod(1.0 - max(0.0, most) for _, most in excesses if most == most),
        prod(1.0 - max(0.0, least) for least, _ in excesses if least == least),
    )


class _Defects(NamedTuple):
    """How many of how many values are not as they should be."""

    bad: int
    of: int


def _defects(cells: Cells, counts: Sequence[int]) -> list[tuple[_Defects, _Defects]]:
    """Return what is missing, strange and of a wrong type in a window, each beside the same of the reference."""
    *inner, missing, wrong_type = counts
    records, present, samples = sum(counts), sum(inner), cells.samples
    if cells.kind == "numeric":
        strange, expected = inner[0] + inner[-1], _Defects(2, samples + 1)
    else:
        strange, expected = inner[-1], _Defects(round((1.0 - cells.own_share) * samples), samples)
    return [
        (_Defects(missing, records), _Defects(cells.missing, cells.missing + samples)),
        (_Defects(strange, present), expected),
        (_Defects(wrong_type, records), _Defects(0, 0)),
    ]


def _share(defects: _Defects) -> float:
    return defects.bad / defects.of if defects.of else 0.0


def _effective(defects: _Defects, time: float) -> tuple[int, int]:
    """As many independent values as tell the same."""
    n = round(defects.of / time)
    return min(n, round(defects.bad / time)), n
