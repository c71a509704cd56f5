"""Answers to surveys: of each person the last one counts."""

from __future__ import annotations

from collections import Counter
from typing import Final

from otel_measure.definitions.days import Days
from otel_measure.records.kinds import NpsResponse
from tests.facts import DAY, HERE, NOON, SECOND
from tests.store.asking import asking_users
from tests.store.conformance.engines import EngineCase

TODAY: Final = NOON // DAY
_SMALL, _LARGE, _LARGEST = (f"{digit}0000000-0000-7000-8000-0000000000" for digit in "08c")  # and two more digits

# A person's answers, as (seconds after noon, how the id begins); by time and text of the id the last one stands last.
_IN_ORDER: Final = (
    [(0, _SMALL), (0, _LARGE), (0, _LARGEST)],
    [(0, _LARGEST), (1, _SMALL)],
    [(0, "answer 10"), (0, "answer 9"), (0, "ñ")],
    [(0, "b"), (1, "a")],
    [(0, _LARGEST), (0, "d")],
    [(0, "!"), (0, "b"), (0, _LARGEST)],
    [(0, "z"), (1, _SMALL)],
    [(0, _LARGE), (1, "!")],
    [(0, _LARGEST.upper()), (0, _LARGE), (0, _LARGEST)],
)


def test_the_last_answer_is_that_of_the_largest_time_and_id(engine: EngineCase) -> None:
    """Ids have the order of their texts, whether they are UUIDs or not, in whichever order answers come."""
    store = engine.open()
    answers = [
        NpsResponse(
            id=f"{id}{person:02}", ts=NOON + later * SECOND, origin=HERE, user_id=f"u{person}", score=10 - is_earlier
        )
        for person, given in enumerate(_IN_ORDER)
        for is_earlier, (later, id) in enumerate(reversed(given))
    ]
    store.accept(answers[::2])
    store.accept(answers[1::2])
    everybody, today = Counter({10: len(_IN_ORDER)}), Days(TODAY, TODAY)
    with asking_users(store) as ask:
        assert ask.scores(today) == everybody
    with asking_users(store) as ask:
        ask.expect((), [today, Days(TODAY - 1, TODAY), Days(TODAY + 1, TODAY + 1)])
        assert ask.scores(Days(TODAY - 1, TODAY)) == ask.scores(today) == everybody
        assert ask.scores(Days(TODAY + 1, TODAY + 1)) == Counter()
