"""SQLite, one ClickHouse server, two shards and plain Python give the same answers, whatever happens.

`CLICKHOUSE_STORIES=0:200 pytest --timeout=0` takes more stories than the gate does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Final, NamedTuple

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime
from otel_measure.store.protocol import Store
from otel_measure.testing import Clock
from tests.clickhouse_shards import Shards
from tests.store.stories.drawn import TEST
from tests.store.stories.plain import judge
from tests.store.stories.reports import exposition, reports
from tests.store.stories.seeded import story_of
from tests.store.stories.story import Step, Story, tell
from tests.waiting import until

pytestmark = pytest.mark.e2e
_FIRST, _, _END = os.environ.get("CLICKHOUSE_STORIES", "0:1").partition(":")
_SQLITE: Final = ":memory:"
_AFTER_S: Final = (0.0, 0.01, 0.03, 0.1)


class Kill(NamedTuple):
    """That one of two servers is killed while a step is told, so long after that began."""

    server: int
    at_step: int
    after_s: float


class Answers(NamedTuple):
    """What a store answers: every report as JSON, and what `/metrics` shows."""

    reports: dict[str, bytes]
    metrics: bytes


@contextmanager
def opened(place: str, story: Story) -> Iterator[Runtime]:
    """Yield a runtime over a new store, at the end of a story; its test is defined."""
    runtime = Runtime(Settings(store=place, timezone=story.zone_name), clock=Clock(moment(story.now)))
    try:
        assert runtime.store is not None
        runtime.store.define_experiment(TEST)
        yield runtime
    finally:
        runtime.shutdown()


def told(shards: Shards, place: str, story: Story, kill: Kill | None) -> Answers:
    """Tell a new store a story, while a server is killed and started again, and return what it answers."""
    with opened(place, story) as runtime:
        assert runtime.store is not None
        for n, step in enumerate(story.steps):
            if kill is not None and n == kill.at_step:
                _tell_and_kill(shards, runtime.store, step, kill)
            else:
                tell(runtime.store, step)
        answers = Answers(reports(runtime, story), exposition(runtime, story.now))
    if place != _SQLITE:
        shards.drop(place)
    return answers


def _tell_and_kill(shards: Shards, store: Store, step: Step, kill: Kill) -> None:
    """Tell a step of which nobody knows whether it arrived, and then all of it again."""
    telling = threading.Thread(target=_try, args=(store, step))
    telling.start()
    telling.join(kill.after_s)
    shards.kill(kill.server)
    telling.join()
    shards.start(kill.server)
    until(lambda: _try_with_all(shards, store, step))


def _try_with_all(shards: Shards, store: Store, step: Step) -> bool:
    shards.start_ended()
    return _try(store, step)


def _try(store: Store, step: Step) -> bool:
    with suppress(StoreUnavailable):
        tell(store, step)
        return True
    return False


@pytest.mark.parametrize("number", range(int(_FIRST), int(_END)))
def test_everybody_answers_the_same_whatever_is_killed(shards: Shards, number: int) -> None:
    """Facts, tellings, streams and links, late, again and changed, an erasure, a server killed: the same JSON."""
    story, chance = story_of(number), Random(number)
    at_step, after_s = chance.randrange(len(story.steps)), chance.choice(_AFTER_S)
    of_sqlite = told(shards, _SQLITE, story, None)
    judge(story, of_sqlite.reports)
    one = shards.servers[0]
    of_a_server = told(shards, one.url(one.new_database()), story, Kill(0, at_step, after_s))
    judge(story, of_a_server.reports)
    assert of_a_server == of_sqlite
    kill = Kill(chance.randrange(2), at_step, after_s)
    of_shards = told(shards, shards.new_url(), story, kill)
    judge(story, of_shards.reports)
    assert of_shards == of_sqlite
