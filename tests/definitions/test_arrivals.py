from __future__ import annotations

from typing import get_args

import pytest

from otel_measure.definitions.arrivals import (
    EXPLANATIONS,
    Arrival,
    ArrivalSource,
    Explanation,
    IgnoredReason,
    by_source,
    explained,
)

SHOP = ArrivalSource("shop", "prod", "python", "openai")


@pytest.mark.parametrize("reason", get_args(IgnoredReason))
def test_every_reason_is_explained(reason: str) -> None:
    """No code is shown in place of a sentence."""
    assert explained("ignored", reason) == EXPLANATIONS[reason]
    assert " " in explained("ignored", reason).why


def test_a_rule_that_was_broken_explains_itself() -> None:
    """It is mended where it is broken; what became something needs no word."""
    rule = "a value must be a finite number"
    assert explained("rejected", rule) == Explanation(rule, "mend it at the sender, or drop it there")
    assert explained("call", "") == Explanation("", "")


def test_what_came_by_who_sent_it() -> None:
    """Sources are sorted, and of one the most frequent stands first."""
    bar = ArrivalSource("bar", "", "", "")
    few, many = Arrival(SHOP, "traces", "call", ""), Arrival(SHOP, "traces", "ignored", "no_model_call")
    other = Arrival(bar, "logs", "event", "")
    assert by_source([(few, 1), (other, 2), (many, 3)]) == [(bar, [(other, 2)]), (SHOP, [(many, 3), (few, 1)])]
