"""What a test says, as sentences: its verdict, what it still needs, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, isnan

from otel_measure.experiments.arms import MIN_CONVERSIONS, MIN_USERS
from otel_measure.stats.ab_test import AbTest, StillNeeded
from otel_measure.stats.intervals import Interval


def explanation(test: AbTest) -> str:
    """Return the verdict of a test as a sentence with its reasons, and how long it still needs."""
    match test.verdict:
        case "winner":
            return f"{test.winner} wins: {_effects(test)}. The interval leaves out zero, at every look."
        case "no_winner_yet":
            return (
                f"No winner yet: {_effects(test)}. The interval still holds zero; more people make it narrower."
                f"{_needed(test.needs)}"
            )
        case "not_enough_data":
            so_far = ", ".join(
                f"{name} has {users:,} and {test.compared_conversions[name]:,}"
                for name, users in test.compared_users.items()
            )
            return (
                f"Not enough data: looks count from {MIN_USERS} compared users in each variant and {MIN_CONVERSIONS} "
                f"conversions together on. So far {so_far}.{_needed(test.needs)}"
            )
        case "sample_ratio_mismatch":
            return (
                "Do not trust the comparison: people did not fall into the variants as the weights say "
                f"(p {_p(test.sample_ratio_p_value)}). Look for who is assigned and not recorded, "
                "or the other way round."
            )
        case "effect_changed":
            return (
                "The effect changed: no single effect agrees with all looks. "
                "Something happened while the test ran; what it says holds for no time of it."
            )


def reasons(test: AbTest) -> tuple[str, ...]:
    """Return what the verdict of a test rests on, a sentence each."""
    return tuple(_reasons(test))


def _reasons(test: AbTest) -> Iterator[str]:
    hours = test.compared_within_hours
    within = f"{hours:,} hours" if hours > 1 else "an hour" if hours else "the hour"
    compared = sum(test.compared_users.values())
    yield (
        f"Compared is what people did within {within} of meeting the test. "
        f"{compared:,} of {test.users:,} have reached that age."
    )
    if not isnan(test.sample_ratio_p_value):
        fell = "did not fall" if test.sample_ratio_mismatch else "fell"
        yield f"People {fell} into the variants as the weights say (p {_p(test.sample_ratio_p_value)})."
    if test.crossed_over:
        yield f"{test.crossed_over:,} met a second variant later; they count for the first."
    if test.excluded_users:
        yield f"{test.excluded_users:,} met a variant that the test does not have; they count nowhere."
    yield f"{test.coverage * 100:.4g} % of the users take part."
    if test.stopped_at is not None:
        yield f"It was stopped, and counts no more: everybody gets {test.served_variant}."


def signed_points(ratio: float) -> str:
    """Return a difference of two shares in points of a percentage, with its sign."""
    text = f"{abs(ratio) * 100:,.1f}".removesuffix(".0")
    return f"{'+' if ratio > 0 else '−' if ratio < 0 else ''}{text}"


def _effects(test: AbTest) -> str:
    return "; ".join(_effect(test, name) for name in test.effects)


def _effect(test: AbTest, name: str) -> str:
    effect = test.effects[name]
    if isnan(effect.absolute):
        return f"{name} cannot be compared yet"
    low, high = effect.absolute_ci
    interval = "" if isnan(low) else f" (95 % interval {signed_points(low)} to {signed_points(high)} points)"
    return f"{name} converts {signed_points(effect.absolute)} points against {test.control_variant}{interval}"


def _needed(needs: StillNeeded | None) -> str:
    """Return how long a test still needs, as a sentence to be put after another one; "" of one that ended."""
    if needs is None:
        return ""
    if needs.unknown_because:
        return f" How long that takes is not known: {needs.unknown_because}."
    condition = f", {needs.provided_that}" if needs.provided_that else ""
    return f" At {needs.users_per_day:,.0f} people a day it takes some {_days(needs.days, needs.days_ci)}{condition}."


def _days(days: float, interval: Interval) -> str:
    low, high = interval
    least, most = ("?" if isnan(end) else f"{ceil(end):,}" for end in (low, high))
    several = f"{ceil(days):,} day{'' if ceil(days) == 1 else 's'} more"
    if isnan(low):
        return f"{several} (between which bounds is not known)"
    return f"{several} (at least {least}; at most: not known)" if isnan(high) else f"{several} ({least} to {most})"


def _p(value: float) -> str:
    """Return a p-value with six decimals at most."""
    return "below 0.000001" if value < 1e-6 else f"= {value:.6f}".rstrip("0").rstrip(".")
