"""What is shown of experiments: the verdict of each, its variants, and its effect over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from exporter.cli.views.advice import record_line
from exporter.cli.views.document import Advice, Cell, Chart, Line, Look, Sentences, ShownColumn, ShownTable
from exporter.cli.views.numbers import UNKNOWN, interval, moment, p_value, points, share, whole, words
from otel_measure.definitions.series import Series
from otel_measure.stats.ab_test import AbTest

_LOOKS: Final[dict[str, Look]] = {"winner": "good", "effect_changed": "fair", "sample_ratio_mismatch": "bad"}


def how_to_begin(store: str) -> Advice:
    """Return the line that begins an experiment in this very store."""
    call = "get_user_analytics_service().create_ab_test('Shorter form', ['control', 'short'])"
    return Advice(
        "There is no experiment. This line begins one in this store:",
        record_line(store, f"from otel_measure import get_user_analytics_service; {call}"),
    )


def experiments_table(tests: Sequence[AbTest], zone: ZoneInfo, *, most: int | None = None) -> ShownTable:
    """Return all tests, the newest first."""
    newest = sorted(tests, key=lambda test: test.created_at, reverse=True)[:most]
    columns = (
        ShownColumn("Experiment", is_text=True),
        ShownColumn("Verdict", is_text=True),
        ShownColumn("Effect", is_text=True, rank=1),
        ShownColumn("Users"),
        ShownColumn("Conversions", rank=2),
        ShownColumn("p", rank=3),
        ShownColumn("Since", is_text=True, rank=4),
    )
    note = f"{len(newest)} of {len(tests)}, the newest first" if len(tests) > len(newest) else ""
    rows = tuple(
        (
            test.test_name,
            _verdict(test),
            _largest_effect(test),
            whole(test.users),
            whole(test.conversions),
            p_value(test.p_value),
            moment(test.created_at, zone),
        )
        for test in newest
    )
    return ShownTable("Experiments", columns, rows, note, "there is no experiment")


def _verdict(test: AbTest) -> Cell:
    said = words(test.verdict) if test.winner is None else f"{test.winner} wins"
    stopped = "" if test.stopped_at is None else f"; stopped, all get {test.served_variant}"
    return Cell(f"{said}{stopped}", _LOOKS.get(test.verdict, ""))


def _largest_effect(test: AbTest) -> str:
    known = {name: effect.absolute for name, effect in test.effects.items() if effect.absolute == effect.absolute}
    if not known:
        return UNKNOWN
    name = test.winner if test.winner in known else max(known, key=lambda name: abs(known[name]))
    return f"{name} {points(known[name])} points"


def what_it_says(test: AbTest) -> Sentences:
    """Return the verdict of one test as the sentence of its answer, and what it rests on."""
    return Sentences(test.test_name, (test.explanation, *test.reasons))


def variants(test: AbTest) -> ShownTable:
    """Return the variants of one test."""
    columns = (
        ShownColumn("Variant", is_text=True),
        ShownColumn("Users"),
        ShownColumn("Conversion rate"),
        ShownColumn("95 % interval", rank=2),
        ShownColumn("Against the control"),
        ShownColumn("95 % interval", rank=1),
        ShownColumn("p", rank=3),
    )
    rows = tuple(_variant(test, name) for name in test.variant_users)
    return ShownTable(f"Variants of {test.test_name}", columns, rows)


def _variant(test: AbTest, name: str) -> tuple[str, ...]:
    effect = test.effects.get(name)
    of_control = ("control", "", "")
    against = of_control if effect is None else (
        f"{points(effect.absolute)} points",
        interval(effect.absolute_ci, points) or UNKNOWN,
        p_value(effect.adjusted_p_value),
    )  # fmt: skip
    rate, ends = test.variant_conversion_rates[name], test.variant_conversion_rates_ci[name]
    return (name, whole(test.variant_users[name]), share(rate), interval(ends, share) or UNKNOWN, *against)


def over_time(test: AbTest, series: Series, zone: ZoneInfo) -> tuple[Chart, ...]:
    """Return the effect of each variant with its interval, as one saw it at the end of each day."""
    return tuple(
        Chart(
            f"{test.test_name}: {group.key['variant']} against {test.control_variant}, points",
            series.start,
            (
                Line("effect", group.columns["effect"]),
                Line("low", group.columns["effect_low"], is_bound=True),
                Line("high", group.columns["effect_high"], is_bound=True),
            ),
            points,
            zone,
        )
        for group in series.groups
        if group.key["variant"] != test.control_variant
    )
