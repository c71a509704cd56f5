"""How differently groups are treated: counts per group in, rates and how far they lie apart out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otel_measure.definitions.kpis import BY_KEY, Kpi
from otel_measure.definitions.verdicts import Verdict, judge
from otel_measure.stats.intervals import Interval, widest_difference


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """What happened to one group; two of them add.

    ``n`` and ``selected`` (predicted positive) need no truth; the others count the labelled part.
    """

    n: int = 0
    selected: int = 0
    positives: int = 0
    true_positives: int = 0
    negatives: int = 0
    false_positives: int = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            self.n + other.n,
            self.selected + other.selected,
            self.positives + other.positives,
            self.true_positives + other.true_positives,
            self.negatives + other.negatives,
            self.false_positives + other.false_positives,
        )


@dataclass(frozen=True, slots=True)
class Fairness:
    """How differently groups are treated; differences are largest − smallest rate, ratios smallest / largest.

    Attributes:
        n: records by group.
        selection_rate: by group: selected / n.
        true_positive_rate: by group: true positives / positives.
        false_positive_rate: by group: false positives / negatives.
        demographic_parity_difference: of selection rates; the *fairness gap* of the health score.
        demographic_parity_difference_ci: its 95 % interval: for all pairs of groups together (Newcombe 1998,
            Bonferroni).
        demographic_parity_ratio: of selection rates.
        equal_opportunity_difference: of true positive rates.
        equal_opportunity_ratio: of true positive rates.
        equalized_odds_difference: the larger of the true and false positive rates' differences.
        equalized_odds_ratio: the smaller of their ratios.
        undefined: the rates that are a ratio of nothing, as ``group: rate``; they count as no disparity.
        smallest_group: records of the smallest group compared.
        left_out: groups of fewer records than the KPI needs, when two others have them; they are not compared.
        verdict: of the gap against its KPI; ``unknown`` when a group compared has fewer records than it needs.
    """

    n: dict[str, int]
    selection_rate: dict[str, float]
    true_positive_rate: dict[str, float]
    false_positive_rate: dict[str, float]
    demographic_parity_difference: float
    demographic_parity_difference_ci: Interval
    demographic_parity_ratio: float
    equal_opportunity_difference: float
    equal_opportunity_ratio: float
    equalized_odds_difference: float
    equalized_odds_ratio: float
    undefined: tuple[str, ...]
    smallest_group: int
    left_out: tuple[str, ...]
    verdict: Verdict

    def against(self, kpi: Kpi) -> Verdict:
        """Judge the gap by a KPI, which may have a target of a model's own."""
        interval = self.demographic_parity_difference_ci
        return judge(kpi, self.demographic_parity_difference, evidence=self.smallest_group, interval=interval)


def fairness(groups: Mapping[str, GroupCounts]) -> Fairness:
    """Compare the rates of groups, counted by name of the group.

    The definitions are fairlearn's (``between_groups``, ``worst_case``), of the groups that have enough records where
    two or more have. With fewer than two groups that have a rate its difference and ratio are ``nan``.
    """
    kpi = BY_KEY["fairness_gap"]
    large = {name: group for name, group in groups.items() if group.n >= kpi.min_evidence}
    compared = large if len(large) > 1 else groups
    selection = _rates(groups, lambda g: _ratio(g.selected, g.n))
    opportunity = _rates(groups, lambda g: _ratio(g.true_positives, g.positives))
    alarm = _rates(groups, lambda g: _ratio(g.false_positives, g.negatives))
    named = (("selection_rate", selection), ("true_positive_rate", opportunity), ("false_positive_rate", alarm))
    of_selection, of_opportunity, of_alarm = ({name: rates[name] for name in compared} for _, rates in named)
    smallest = min((group.n for group in compared.values()), default=0)
    gap, interval = _difference(of_selection), widest_difference([(g.selected, g.n) for g in compared.values()])
    return Fairness(
        n={name: groups[name].n for name in sorted(groups)},
        selection_rate=selection,
        true_positive_rate=opportunity,
        false_positive_rate=alarm,
        demographic_parity_difference=gap,
        demographic_parity_difference_ci=interval,
        demographic_parity_ratio=_quotient(of_selection),
        equal_opportunity_difference=_difference(of_opportunity),
        equal_opportunity_ratio=_quotient(of_opportunity),
        equalized_odds_difference=_worst(max, _difference(of_opportunity), _difference(of_alarm)),
        equalized_odds_ratio=_worst(min, _quotient(of_opportunity), _quotient(of_alarm)),
        undefined=tuple(f"{group}: {name}" for name, rates in named for group in rates if math.isnan(rates[group])),
        smallest_group=smallest,
        left_out=tuple(sorted(groups.keys() - compared.keys())),
        verdict=judge(kpi, gap, evidence=smallest, interval=interval),
    )


def _rates(groups: Mapping[str, GroupCounts], rate: Callable[[GroupCounts], float]) -> dict[str, float]:
    return {name: rate(groups[name]) for name in sorted(groups)}


def _known(rates: Mapping[str, float]) -> list[float]:
    return sorted(rate for rate in rates.values() if not math.isnan(rate))


def _difference(rates: Mapping[str, float]) -> float:
    known = _known(rates)
    return known[-1] - known[0] if len(known) > 1 else math.nan


def _quotient(rates: Mapping[str, float]) -> float:
    known = _known(rates)
    return _ratio(known[0], known[-1]) if len(known) > 1 else math.nan


def _worst(worst: Callable[[list[float]], float], *values: float) -> float:
    known = [value for value in values if not math.isnan(value)]
    return worst(known) if known else math.nan


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
