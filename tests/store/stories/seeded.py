"""Stories by their number: each is drawn by a seed of its own, so that any of them can be told again alone."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.store.stories.story import Story, stories

_DRAWN: Final = 8
_FEWEST_FACTS: Final = 15


def story_of(number: int) -> Story:
    """Return a story with enough in it that something may go wrong: the first one drawn is always the empty one."""
    drawn: list[Story] = []

    @seed(number)
    @settings(
        max_examples=_DRAWN, phases=(Phase.generate,), database=None, deadline=None, derandomize=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(story=stories())
    def draw(story: Story) -> None:
        drawn.append(story)

    draw()
    return next((each for each in drawn if _facts(each) >= _FEWEST_FACTS), max(drawn, key=_facts))


def _facts(story: Story) -> int:
    return sum(len(step) for step in story.steps if isinstance(step, list))
