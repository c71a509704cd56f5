"""How fairly a model treats groups: its predictions by attribute and label of whom they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from otel_measure.ai.groups import Fairness, GroupCounts, fairness
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.quality import boolean_spellings, label
from otel_measure.definitions.verdicts import WORST_FIRST, with_target
from otel_measure.definitions.windows import Window
from otel_measure.records.kinds import Prediction
from otel_measure.store.types.quality import GroupedLabels


@dataclass(frozen=True, slots=True)
class FairnessReport:
    """Fairness of a model over a window, by attribute.

    Attributes:
        attributes: attribute → how differently its groups are treated; the groups are its labels.
        positive: the class that counts as selected.
        window: the time looked at, by prediction time.
    """

    attributes: dict[str, Fairness]
    positive: str
    window: Window

    def worst(self, target: float | None = None) -> tuple[str, Fairness] | None:
        """The attribute with the worst verdict, of several the one whose gap is surely the largest, and its fairness.

        The gap itself does not decide: that of few records is wide by chance.

        Args:
            target: of the model's own; `None` for that of the KPI table.
        """
        kpi = with_target(BY_KEY["fairness_gap"], target)
        judged = [
            (name, one, verdict) for name, one in self.attributes.items() if (verdict := one.against(kpi)) != "unknown"
        ]
        ranked = {
            (-WORST_FIRST.index(verdict), one.demographic_parity_difference_ci[0]): (name, one)
            for name, one, verdict in reversed(judged)
        }
        return ranked[max(ranked)] if ranked else None


def fairness_report(grouped: GroupedLabels, positive: Prediction | None, window: Window) -> FairnessReport:
    """Compare the groups of each attribute.

    Args:
        grouped: predictions and truths by group.
        positive: the class that counts as selected; `None` for `True` or 1 of a model that predicts nothing else.
        window: the time looked at.

    Raises:
        ValueError: the classes are no booleans and nobody says which is the positive one.
    """
    classes = {name for counts in grouped.predictions.values() for name in counts}
    truths = {truth for pairs in grouped.confusion.values() for _, truth in pairs}
    spelling = boolean_spellings({*classes, *truths, *([positive] if isinstance(positive, str) else [])})
    selected = _positive(positive, {spelling.get(name, name) for name in classes | truths})
    by_attribute: dict[str, dict[str, GroupCounts]] = {}
    for group, counts in sorted(grouped.predictions.items()):
        counted = _counts(counts, grouped.confusion.get(group, {}), spelling, spelling.get(selected, selected))
        by_attribute.setdefault(group.attribute, {})[group.label] = counted
    attributes = {attribute: fairness(groups) for attribute, groups in by_attribute.items()}
    return FairnessReport(attributes, spelling.get(selected, selected), window)


def _positive(positive: Prediction | None, classes: Iterable[str]) -> str:
    if positive is not None:
        named = label(positive)
        if named is None:
            raise ValueError(f"positive must be a class (text, a boolean or a whole number), not {positive!r}")
        return named
    names = set(classes)
    for boolean in ({"true", "false"}, {"True", "False"}, {"0", "1"}):
        if names <= boolean:
            return next(name for name in boolean if name.casefold() in ("true", "1"))
    shown = ", ".join(map(repr, sorted(names)[:5]))
    raise ValueError(f"positive must say which class counts as selected: the predictions and truths are {shown}")


def _counts(
    counts: Mapping[str, int], confusion: Mapping[tuple[str, str], int], spelling: Mapping[str, str], positive: str
) -> GroupCounts:
    def selects(name: str) -> bool:
        return spelling.get(name, name) == positive

    total = GroupCounts()
    for name, n in counts.items():
        total += GroupCounts(n=n, selected=n * selects(name))
    for (guess, truth), n in confusion.items():
        of_positives = n * selects(truth)
        total += GroupCounts(
            positives=of_positives,
            true_positives=of_positives * selects(guess),
            negatives=n - of_positives,
            false_positives=(n - of_positives) * selects(guess),
        )
    return total
