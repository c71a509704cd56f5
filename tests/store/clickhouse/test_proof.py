"""A store in SQLite, one on one ClickHouse server and one on two shards give the same answers, whatever happens.

`CLICKHOUSE_HISTORIES=200 pytest --timeout=0` takes more stories than the gate does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.errors import StoreUnavailable
from otel_measure.runtime import Runtime
from otel_measure.store.protocol import Store
from otel_measure.testing import Clock
from tests.clickhouse import without_what_is_not_of_the_extra
from tests.clickhouse_shards import Shards
from tests.store.clickhouse.storing import HISTORIES, on_a_server
from tests.store.stories import TEST, Step, Story, reports, stories, tell
from tests.waiting import until

pytestmark = pytest.mark.e2e
Teller = Callable[[Store, Step], None]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shards]:
    """Run two servers for all tests of this module; either may be killed, and a store may lie on one of them alone."""
    with ExitStack() as running, without_what_is_not_of_the_extra():
        both = Shards(tmp_path_factory.mktemp("proof"), running)
        running.enter_context(both.without_keeper())
        yield both


def told(place: str, story: Story, teller: Teller) -> dict[str, bytes]:
    """Tell a new store a story, and return every report."""
    runtime = Runtime(Settings(store=place, timezone=story.zone_name), clock=Clock(moment(story.now)))
    try:
        assert runtime.store is not None
        runtime.store.define_experiment(TEST)
        for step in story.steps:
            teller(runtime.store, step)
        return reports(runtime, story.as_of)
    finally:
        runtime.shutdown()


class Killing:
    """Tells stores steps; while one of them is told a server is killed, and started again."""

    def __init__(self, shards: Shards, which: int, at_step: int, after_s: float) -> None:
        self._shards, self._which = shards, which
        self._at_step, self._after_s = at_step, after_s
        self._steps = 0

    def __call__(self, store: Store, step: Step) -> None:
        """Tell a step; of the one that nobody knows of whether it arrived, all is told again."""
        self._steps += 1
        if self._steps - 1 != self._at_step:
            tell(store, step)
            return
        telling = threading.Thread(target=self._try, args=(store, step))
        telling.start()
        telling.join(self._after_s)
        self._shards.kill(self._which)
        telling.join()
        self._shards.start(self._which)
        until(lambda: self._try(store, step))

    def _try(self, store: Store, step: Step) -> bool:
        with suppress(StoreUnavailable):
            tell(store, step)
            return True
        return False


@on_a_server(-(-HISTORIES // 3))
@given(story=stories(), which=st.integers(0, 1), at=st.integers(0, 5), after_s=st.sampled_from((0.0, 0.01, 0.03, 0.1)))
def test_every_report_is_the_same_whatever_is_killed(
    shards: Shards, story: Story, which: int, at: int, after_s: float
) -> None:
    """Facts of every kind, late, again and changed, links, an erasure, a server killed in the middle: the same JSON."""
    of_sqlite = told(":memory:", story, tell)
    assert (
        told(shards.servers[0].url(shards.servers[0].new_database()), story, Killing(shards, 0, at, after_s))
        == of_sqlite
    )
    assert told(shards.new_url(), story, Killing(shards, which, at, after_s)) == of_sqlite
