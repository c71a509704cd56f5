"""Which names of models are one model's."""

from __future__ import annotations

import pytest

from otel_measure.definitions.model_ties import Likeness, ModelNames, ModelTies

ASKED, DATED = "gpt-4o", "gpt-4o-2024-08-06"


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        (ModelNames(ASKED, DATED), ModelNames(ASKED, DATED), Likeness.BOTH_EQUAL),
        (ModelNames(ASKED, DATED), ModelNames("", DATED), Likeness.ONE_EQUAL),
        (ModelNames(ASKED), ModelNames("", DATED), Likeness.TIED),
        (ModelNames(ASKED, DATED), ModelNames(), Likeness.NAMELESS),
        (ModelNames(ASKED, DATED), ModelNames(ASKED, "gpt-4o-2024-11-20"), None),
        # LangChain streams: the name asked for stands in for an answer's that is not known.
        (ModelNames(ASKED, ASKED), ModelNames("", DATED), Likeness.TIED),
        (ModelNames(ASKED, ASKED), ModelNames(ASKED, DATED), Likeness.TIED),
        (ModelNames(ASKED, ASKED), ModelNames("", "o3-2025-04-16"), None),
    ],
)
def test_names_are_compared_as_far_as_they_are_said(
    one: ModelNames, other: ModelNames, likeness: Likeness | None
) -> None:
    """What both say is equal, but for an answer's name that only repeats the name asked for."""
    ties = ModelTies({ModelNames(ASKED, DATED): 1})
    assert (ties.likeness(one, other), ties.likeness(other, one)) == (likeness, likeness)


@pytest.mark.parametrize(("asked", "is_tied"), [("gpt-4o", False), ("gpt-4o-mini", True)])
def test_a_longer_name_belongs_to_the_longest_that_it_goes_on_from(asked: str, is_tied: bool) -> None:
    """`gpt-4o-mini-2024-07-18` is `gpt-4o-mini`'s, where that is asked for, though it goes on from `gpt-4o` too."""
    ties = ModelTies({ModelNames("gpt-4o"): 1, ModelNames("gpt-4o-mini"): 1})
    assert ties.are_tied(asked, "gpt-4o-mini-2024-07-18") is is_tied
