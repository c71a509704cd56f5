from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, cast

import pytest

from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.recorder import BATCH, Recorder
from otel_measure.records.kinds import Record
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, Receipt
from otel_measure.store.waiting import waiting_until
from tests.facts import event, inference

LOCKED = StoreUnavailable("locked", "x.db: database is locked", "wait")


class FakeStore:
    """Takes records, says which are duplicates, and fails as told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.durable: list[bool] = []
        self.poison: set[str] = set()
        self.fails_with: Exception | None = None
        self.accepted = threading.Event()

    def accept(self, records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        if self.fails_with is not None:
            raise self.fails_with
        if any(record.id in self.poison for record in records):
            raise StoreError("store x.db: datatype mismatch")
        known = set(self.ids)
        self.batches.append([record.id for record in records])
        self.durable.append(durable)
        self.accepted.set()
        return [DUPLICATE if record.id in known else ACCEPTED for record in records]

    @property
    def ids(self) -> list[str]:
        return [id for batch in self.batches for id in batch]


class FakeSink:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.counts: Counter[tuple[str, str, str | None]] = Counter()
        self.faults: Counter[str] = Counter()
        self.commits: list[float] = []
        self.raises: Exception | None = None

    def record(self, records: Sequence[Record]) -> None:
        if self.raises is not None:
            raise self.raises
        self.records += [record.id for record in records]

    def count(self, kind: str, outcome: str, n: int, reason: str | None = None) -> None:
        self.counts[kind, outcome, reason] += n

    def fault(self, what: str) -> None:
        self.faults[what] += 1

    def commit_took(self, seconds: float) -> None:
        self.commits.append(seconds)


class Bench:
    """A recorder between a store and a sink that are looked at."""

    def __init__(self, **given: Any) -> None:
        self.store = FakeStore()
        self.sink = FakeSink()
        defaults: dict[str, Any] = {"flush_interval_s": 60.0}
        self.recorder = Recorder(cast(Store, self.store), self.sink, **(defaults | given))


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    """Make benches whose threads end with the test."""
    made: list[Bench] = []

    def bench(**given: Any) -> Bench:
        made.append(Bench(**given))
        return made[-1]

    yield bench
    for one in made:
        with suppress(StoreUnavailable):
            one.recorder.stop(1.0)


def ids(n: int) -> list[str]:
    """Return the first n ids."""
    return [str(i) for i in range(n)]


def test_what_is_put_is_committed_by_the_thread(make: Callable[..., Bench]) -> None:
    """Without anybody asking, within the flush interval, and measured."""
    bench = make(flush_interval_s=0.001)
    bench.recorder.put(event("a"))
    assert bench.store.accepted.wait(60)
    assert bench.recorder.flush()
    assert (bench.store.ids, bench.sink.records) == (["a"], ["a"])


def test_flush_commits_in_order_and_in_batches(make: Callable[..., Bench]) -> None:
    """One transaction for many records, none for nothing."""
    bench = make()
    for id in ids(BATCH + 5):
        bench.recorder.put(event(id))
    assert bench.recorder.queue_length == BATCH + 5
    assert bench.recorder.flush()
    assert bench.recorder.flush()
    assert [len(batch) for batch in bench.store.batches] == [BATCH, 5]
    assert bench.store.ids == ids(BATCH + 5)
    assert bench.recorder.queue_length == 0


def test_commit_answers_for_each_record(make: Callable[..., Bench]) -> None:
    """Only what was new is measured; each outcome is counted."""
    bench = make()
    receipts = bench.recorder.commit([event("a"), inference("b")]) + bench.recorder.commit([event("a")])
    assert receipts == [ACCEPTED, ACCEPTED, DUPLICATE]
    assert bench.sink.records == ["a", "b"]
    assert bench.sink.counts == {
        ("user_event", "accepted", None): 1,
        ("inference", "accepted", None): 1,
        ("user_event", "duplicate", None): 1,
    }


def test_commits_are_timed(make: Callable[..., Bench]) -> None:
    """By the clock that is given."""
    bench = make(monotonic=count(1.0, 0.5).__next__)
    bench.recorder.commit([event("a")])
    assert bench.sink.commits == [0.5]


@pytest.mark.parametrize(
    ("setting", "asked", "expected"), [(False, False, False), (False, True, True), (True, False, True)]
)
def test_durability_is_that_of_the_settings_or_more(
    make: Callable[..., Bench], setting: bool, asked: bool, expected: bool
) -> None:
    """A commit may ask for more than the settings, never for less."""
    bench = make(durable=setting)
    bench.recorder.commit([event("a")], durable=asked)
    assert bench.store.durable == [expected]


def test_without_a_store_records_go_straight_to_the_sink() -> None:
    """Everything is accepted."""
    sink = FakeSink()
    assert Recorder(None, sink).commit([event("a"), event("a")]) == [ACCEPTED, ACCEPTED]
    assert sink.records == ["a", "a"]


def test_a_full_queue_drops_and_counts(make: Callable[..., Bench], caplog: pytest.LogCaptureFixture) -> None:
    """The call returns, the loss is a number, and the log says so once."""
    bench = make(queue_size=2)
    with caplog.at_level(logging.ERROR, "otel_measure"):
        for id in ids(5):
            bench.recorder.put(event(id))
    assert bench.recorder.flush()
    assert bench.store.ids == ["0", "1"]
    assert bench.sink.counts == {("user_event", "dropped", "queue_full"): 3, ("user_event", "accepted", None): 2}
    assert [record.getMessage() for record in caplog.records] == [
        "2 records wait and the store does not keep up: it is dropped"
        " (logged once; otel_measure.self.* metrics count the rest)"
    ]


def test_an_unavailable_store_loses_nothing(make: Callable[..., Bench]) -> None:
    """The records wait in their order and go on when the cause is gone; the fault is counted."""
    bench = make()
    for id in ids(3):
        bench.recorder.put(event(id))
    bench.store.fails_with = LOCKED
    assert bench.recorder.flush() is False
    bench.recorder.put(event("3"))
    assert (bench.recorder.queue_length, bench.sink.faults) == (4, {"store_unavailable": 1})
    bench.store.fails_with = None
    assert bench.recorder.flush()
    assert bench.store.ids == ids(4)
    assert bench.sink.counts == {("user_event", "accepted", None): 4}


def test_the_thread_outlives_an_unavailable_store(make: Callable[..., Bench]) -> None:
    """It tries again by itself."""
    bench = make(flush_interval_s=0.001)
    bench.store.fails_with = LOCKED
    bench.recorder.put(event("a"))
    while not bench.sink.faults:
        pass
    bench.store.fails_with = None
    assert bench.store.accepted.wait(60)
    assert bench.recorder.flush()
    assert bench.sink.records == ["a"]


def test_one_bad_record_takes_nobody_with_it(make: Callable[..., Bench]) -> None:
    """The others are stored one by one; the bad one is dropped, counted and logged."""
    bench = make()
    bench.store.poison = {"1"}
    for id in ids(4):
        bench.recorder.put(event(id))
    assert bench.recorder.flush()
    assert bench.store.batches == [["0"], ["2"], ["3"]]
    assert bench.sink.counts == {
        ("user_event", "accepted", None): 3,
        ("user_event", "dropped", "StoreError"): 1,
    }
    assert bench.sink.faults == {"refused": 1}


def test_a_store_that_goes_away_among_single_records_loses_none(make: Callable[..., Bench]) -> None:
    """The rest goes back to the front of the queue, in order."""
    bench = make()
    bench.store.poison = {"2"}
    accept = bench.store.accept

    def away_after_the_first(records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        if len(records) == 1 and bench.store.ids == ["0"]:
            raise LOCKED
        return accept(records, durable=durable)

    bench.store.accept = away_after_the_first  # type: ignore[method-assign]
    for id in ids(4):
        bench.recorder.put(event(id))
    assert bench.recorder.flush() is False
    assert (bench.store.ids, bench.recorder.queue_length) == (["0"], 3)
    bench.store.accept = accept  # type: ignore[method-assign]
    assert bench.recorder.flush()
    assert bench.store.ids == ["0", "1", "3"]


@pytest.mark.parametrize("error", [KeyError("x"), OverflowError("too large"), RuntimeError("bug"), UnicodeError("x")])
def test_no_error_of_ours_ends_the_recording(make: Callable[..., Bench], error: Exception) -> None:
    """Whatever it is, the record concerned is counted and the next one is stored."""
    bench = make()
    bench.store.fails_with = error
    bench.recorder.put(event("a"))
    assert bench.recorder.flush()
    bench.store.fails_with = None
    bench.recorder.put(event("b"))
    assert bench.recorder.flush()
    assert bench.store.ids == ["b"]
    assert bench.sink.counts["user_event", "dropped", type(error).__name__] == 1


def test_what_is_committed_is_acknowledged_whatever_measuring_it_does(make: Callable[..., Bench]) -> None:
    """A sink that raises is a fault of ours and no reason to record twice."""
    bench = make()
    bench.sink.raises = RuntimeError("an instrument")
    assert bench.recorder.commit([event("a")]) == [ACCEPTED]
    assert bench.sink.faults == {"measuring": 1}


def test_commit_raises_what_the_caller_must_know(make: Callable[..., Bench]) -> None:
    """Nothing was accepted, and the answer to an HTTP client is 503."""
    bench = make()
    bench.store.fails_with = LOCKED
    with pytest.raises(StoreUnavailable, match="database is locked"):
        bench.recorder.commit([event("a")])


def test_flush_gives_up_in_time(make: Callable[..., Bench]) -> None:
    """A deadline passed between two batches leaves the rest in the queue."""
    bench = make(monotonic=count(0.0, 1.0).__next__)
    for id in ids(2 * BATCH):
        bench.recorder.put(event(id))
    assert bench.recorder.flush(1.5) is False
    assert (len(bench.store.ids), bench.recorder.queue_length) == (BATCH, BATCH)


def test_flush_waits_for_the_drain_that_runs_only_so_long(make: Callable[..., Bench]) -> None:
    """Another thread's stuck commit is not waited for beyond the timeout."""
    bench = make()
    bench.recorder.before_fork()
    try:
        assert bench.recorder.flush(0.01) is False
    finally:
        bench.recorder.after_fork_in_parent()
    assert bench.recorder.flush(0.01)


def test_a_question_is_told_what_its_answer_is_without(make: Callable[..., Bench]) -> None:
    """As many records as are not committed, those included that another thread is just committing."""
    bench = make()
    for id in ids(3):
        bench.recorder.put(event(id))
    assert (bench.recorder.settle(), bench.recorder.pending) == (0, 0)
    bench.recorder.put(event("3"))
    committing, go_on = threading.Event(), threading.Event()

    def slow(records: Sequence[Record], *, durable: bool = False) -> list[Receipt]:
        committing.set()
        go_on.wait(60)
        return [ACCEPTED] * len(records)

    bench.store.accept = slow  # type: ignore[method-assign]
    other = threading.Thread(target=bench.recorder.flush)
    other.start()
    committing.wait(60)
    bench.recorder.put(event("4"))
    with waiting_until(0.0):
        assert (bench.recorder.settle(), bench.recorder.pending) == (2, 2)
    go_on.set()
    other.join()
    assert (bench.recorder.settle(), bench.recorder.pending) == (0, 0)


def test_no_question_waits_for_a_store_that_is_away(
    make: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    """The first one tries; as long as nothing is committed, the next ones do not, and the log says it once."""
    bench = make()
    bench.recorder.put(event("a"))
    bench.store.fails_with = LOCKED
    assert [bench.recorder.settle() for _ in range(3)] == [1, 1, 1]
    assert bench.sink.faults == {"store_unavailable": 1}
    assert [r.getMessage() for r in caplog.records if "an answer" in r.getMessage()] == [
        "an answer is without what is not committed yet, 1 of the records"
        " (logged once; otel_measure.self.* metrics count the rest)"
    ]
    bench.store.fails_with = None
    assert bench.recorder.commit([event("b")]) == [ACCEPTED]
    assert bench.recorder.settle() == 0
    assert bench.store.ids == ["b", "a"]


def test_our_own_faults_are_raised_where_that_is_wanted(make: Callable[..., Bench]) -> None:
    """Under test nothing is swept under the rug."""
    bench = make(raise_faults=True)
    bench.recorder.put(event("a"))
    bench.store.fails_with = LOCKED
    with pytest.raises(StoreUnavailable, match="database is locked"):
        bench.recorder.flush()


def test_stop_commits_what_waits_and_takes_no_more(make: Callable[..., Bench]) -> None:
    """What comes after the end is counted as dropped."""
    bench = make()
    bench.recorder.put(event("a"))
    assert bench.recorder.stop(1.0)
    bench.recorder.put(event("b"))
    assert bench.store.ids == ["a"]
    assert bench.sink.counts == {("user_event", "accepted", None): 1, ("user_event", "dropped", "shut_down"): 1}


def test_stop_counts_what_it_cannot_commit(make: Callable[..., Bench]) -> None:
    """And says that it did not succeed."""
    bench = make()
    bench.recorder.put(event("a"))
    bench.store.fails_with = LOCKED
    assert bench.recorder.stop(1.0) is False
    assert bench.sink.counts == {("user_event", "dropped", "shut_down"): 1}


def test_stop_does_not_wait_for_a_pause(make: Callable[..., Bench]) -> None:
    """The thread is woken from its sleep; a minute's interval does not delay the end of the process."""
    bench = make(flush_interval_s=3600.0)
    bench.recorder.put(event("a"))
    thread = bench.recorder._thread
    assert thread is not None
    assert bench.recorder.stop(5.0)
    assert not thread.is_alive()


def test_a_forked_child_starts_afresh(make: Callable[..., Bench]) -> None:
    """What waited in the parent is the parent's to commit; the child has a thread of its own."""
    bench = make(flush_interval_s=0.001)
    bench.recorder.before_fork()
    bench.recorder._queue.append(event("parent's"))
    bench.recorder.after_fork_in_child()
    assert bench.recorder.queue_length == 0
    bench.recorder.put(event("child's"))
    assert bench.store.accepted.wait(60)
    assert bench.recorder.flush()
    assert bench.store.ids == ["child's"]


def test_what_others_recorded_is_no_measurement_of_this_process() -> None:
    """It is accepted and counted, and the instruments of this process say nothing of it."""
    sink = FakeSink()
    recorder = Recorder(None, sink)
    assert recorder.commit([inference("a")], own=False) == [ACCEPTED]
    assert (sink.records, dict(sink.counts)) == ([], {("inference", "accepted", None): 1})
