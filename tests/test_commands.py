"""Every call that sets something, while the store is away: it comes to the same as if the store had been there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from otel_measure import wiring
from otel_measure.commands import COMMANDS
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.errors import Conflict, StoreUnavailable
from otel_measure.records.kinds import Record, ServiceState
from otel_measure.store.late import LateStore
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import ERASED
from otel_measure.store.types.spools import SpooledBatch
from otel_measure.store.types.users import Erasure
from otel_measure.wiring import Wired
from tests.closing import closed_later
from tests.facts import HERE, NOON, SECOND, event
from tests.store.asking import asked

ANSWERS = ["yes"] * 40 + ["no"] * 40


class ShopHost:
    """Processes of one host, one after the other, whose clock goes on by a second with every call."""

    def __init__(self, spool: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.near = closed_later(SqliteStore(":memory:"))
        self.is_away = True
        self._settings = Settings(
            store="beside.db", spool=None if spool is None else str(spool), service_name="shop", environment="test"
        )
        self._now_us = NOON
        self.faults: list[str] = []
        self.kept: set[str] = set()
        self._monkeypatch = monkeypatch
        self.begin()

    def begin(self) -> None:
        """Begin a process, which forwards nothing by itself."""
        with self._monkeypatch.context() as patch:
            store = LateStore(self._open, self.near.definitions, lambda: self.clock() / SECOND)
            patch.setattr(wiring, "open_store", lambda *_, **__: store)
            self.process = Wired(self._settings, clock=self.clock)
        self._monkeypatch.setattr(self.process.telemetry, "fault", self.faults.append)
        forwarder = self.process.forwarder
        if forwarder is not None:
            keep = closed_later(forwarder._spool).keep

            def noting(command: bytes) -> None:
                self.kept.add(msgspec.msgpack.decode(command)[0])
                keep(command)

            self._monkeypatch.setattr(forwarder._spool, "keep", noting)

    def _open(self) -> SqliteStore:
        if self.is_away:
            raise StoreUnavailable("away", "nobody answers", "wait")
        return self.near

    def clock(self) -> int:
        """Return the time."""
        return self._now_us

    def call(self, act: Callable[[Wired], object]) -> object:
        """Have the process of now do something, a second later."""
        self._now_us += SECOND
        return act(self.process)

    def deliver(self) -> None:
        """Have the store, which is there again, take what waits."""
        self.is_away = False
        self._now_us += 10 * SECOND
        assert self.process.forwarder is not None
        assert self.process.recorder.flush()
        assert self.process.forwarder.flush(30.0)

    def forget_after(self, times: int) -> None:
        """Have what waits be forgotten when it was delivered so often."""
        assert self.process.forwarder is not None
        spool, delivered = self.process.forwarder._spool, Counter[int]()
        remove = spool.remove

        def removing(batch: SpooledBatch) -> None:
            delivered[batch.seq] += 1
            if delivered[batch.seq] == times:
                remove(batch)

        self._monkeypatch.setattr(spool, "remove", removing)

    def known(self) -> list[object]:
        """Return all that the store was told, but for ids that are drawn."""
        self._now_us = NOON + 100 * SECOND
        store, users = self.near, self.process.users
        histories = asked(store, lambda m: m.services.histories(0))
        return [
            asked(store, lambda m: m.models.models()),
            asked(store, lambda m: m.quality.references()),
            asked(store, lambda m: m.experiments.experiments()),
            [replace(each, changes=tuple(c._replace(event_id="") for c in each.changes)) for each in histories],
            [users.export_user(user).ids for user in ("ann", "bob", "v-2", "eve")],
            [fact.attributes["log.record.uid"] for user in ("ann", "eve") for fact in users.export_user(user).facts],
            store.erasure(1),
        ]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShopHost:
    """A host with a spool, whose store is away."""
    return ShopHost(tmp_path / "spool", monkeypatch)


def first_calls(host: ShopHost) -> list[object]:
    """Set what an application sets, and record between; return what the calls answered."""
    at = moment(NOON)
    for n, answer in enumerate(ANSWERS):
        host.process.ai.record_inference("m", "2", 1.0, prediction=answer, timestamp=at, inference_id=f"i-{n}")
    acts: list[Callable[[Wired], object]] = [
        lambda p: p.ai.register_model("m", "1", "classification"),
        lambda p: p.ai.set_drift_reference("m", "1", predictions=ANSWERS),
        lambda p: p.ai.set_drift_reference("m", "2", window="24h"),
        lambda p: p.infrastructure.register_service("web", 99.5).sla_target,
        lambda p: p.infrastructure._ledger.watch("db"),  # what `watch_service` sets, without its thread
        lambda p: bool(p.infrastructure.record_service_down("web", reason="disk full")),
        lambda p: bool(p.infrastructure.record_maintenance("web", at, at + timedelta(hours=1))),
        lambda p: p.users.create_ab_test("T", ["a", "b"]),
        lambda p: p.users.record_ab_conversion("t", "ann", event_id="c-1"),
        lambda p: p.users.track_event("v-1", "click", "button", event_id="e-1"),
        lambda p: p.users.identify("v-1", "ann"),
        lambda p: p.users.identify("v-2", "bob"),
        lambda p: p.users.track_event("v-3", "click", "button", event_id="e-2"),
        lambda p: p.users.identify("v-3", "eve"),
    ]
    return [host.call(act) for act in acts]


def later_calls(host: ShopHost) -> list[object]:
    """Change what was set."""
    acts: list[Callable[[Wired], object]] = [
        lambda p: p.users.create_ab_test("T", ["a", "b"]),
        lambda p: p.users.stop_ab_test("t", "b"),
        lambda p: bool(p.infrastructure.record_service_up("web")),
        lambda p: p.users.unlink("v-2"),
        lambda p: p.users.delete_user("eve"),
        lambda p: p.users.track_event("eve", "click", "button", event_id="e-3"),
        lambda p: p.users.assign_variant("t", "ann"),
    ]
    return [host.call(act) for act in acts]


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_set_while_the_store_is_away_comes_to_the_same(
    host: ShopHost, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """The first half by a process that ends, the second by the next one of the host, which brings all of it.

    It does so as well where each thing is done twice, since a process was killed before it could forget it. The calls
    answer alike but for what the store alone knows: whether there was a link, and what an erasure removed.
    """
    near = ShopHost(None, monkeypatch)
    near.is_away = False
    first = first_calls(near)
    assert near.process.recorder.flush()
    *rest, linked, erasure, tracked, variant = later_calls(near)
    assert near.process.recorder.flush()
    assert isinstance(erasure, Erasure)
    assert (linked, erasure.events, erasure.pending) == (True, 1, False)

    assert first_calls(host) == first
    assert host.process.recorder.flush()
    assert host.process.forwarder is not None
    host.process.forwarder.stop(0.0)
    host.begin()
    pending = Erasure("eve", 0, erasure.erased_at, 0, 0, 0, 0, 0, 0, 0, pending=True)
    assert later_calls(host) == [*rest, None, pending, tracked, variant]
    assert host.kept == {kind.call for kind in COMMANDS}
    assert len(host.kept) == len(COMMANDS)
    host.forget_after(times)
    host.deliver()
    assert host.known() == near.known()
    assert ["c-1", "e-1", "e-3"] in near.known()  # of "eve" what came after the erasure
    assert host.faults == []


def test_what_the_store_refuses_later_is_a_number_one_can_see(host: ShopHost) -> None:
    """By the call; it holds nobody up, and what else was set is there."""
    near = host.near
    near.identify("v-1", "bob")
    near.define_experiment(Experiment("t", "T", ("c", "d"), (0.5, 0.5), 1.0, NOON))
    process = host.process
    process.users.identify("v-1", "ann")
    process.infrastructure.record_service_down("unknown")
    process.infrastructure.record_maintenance("unknown", moment(NOON), moment(NOON + SECOND))
    process.ai.set_drift_reference("m", "1", window="24h")
    process.users.create_ab_test("T", ["a", "b"])
    process.users.stop_ab_test("t", "b")
    process.users.create_ab_test("U", ["a", "b"])
    host.deliver()
    assert host.faults == [
        "refused_identify",
        "refused_record_service_state",
        "refused_record_maintenance",
        "refused_set_drift_reference_of_window",
        "refused_create_ab_test",
        "refused_stop_ab_test",
    ]
    assert [each.key for each in asked(near, lambda m: m.experiments.experiments())] == ["t", "u"]
    assert process.users.export_user("v-1").ids == near.export("bob").ids


def test_what_others_set_meanwhile_is_not_taken_back(host: ShopHost) -> None:
    """A state that another host recorded later is no clock that was ahead, and a later end of a test decides."""
    near, process = host.near, host.process
    process.infrastructure.register_service("web")
    near.register_service("test", "web", 99.0, NOON)
    near.define_experiment(Experiment("t", "T", ("a", "b"), (0.5, 0.5), 1.0, NOON))
    process.users.create_ab_test("T", ["a", "b"])
    host.call(lambda p: p.infrastructure.record_service_down("web"))
    host.call(lambda p: p.users.stop_ab_test("t", "b"))
    later = host.clock() + SECOND
    near.accept([ServiceState(id="up", ts=later, origin=HERE, service="web", state="up")])
    near.stop_experiment("t", "a", later)
    host.deliver()
    (web,) = asked(near, lambda m: m.services.histories(0))
    assert [change.state for change in web.changes] == ["down", "up"]
    assert [each.served for each in asked(near, lambda m: m.experiments.experiments())] == ["a"]
    assert host.faults == ["refused_stop_ab_test"]


def test_what_comes_late_sets_nothing_back(host: ShopHost) -> None:
    """A service that others registered since is no older than it was, and their later erasure goes on keeping out."""
    near = host.near
    host.call(lambda p: p.infrastructure._ledger.watch("web"))
    host.call(lambda p: p.infrastructure.register_service("api"))
    host.call(lambda p: p.users.delete_user("eve"))
    later = host.clock() + SECOND
    near.keep_time(later)
    near.register_service("test", "db", 99.0, later)
    near.erase("eve", later)
    host.deliver()
    histories = asked(near, lambda m: m.services.histories(0))
    assert {each.service.name: each.service.registered - NOON for each in histories} == {
        "api": 2 * SECOND,
        "db": 4 * SECOND,
        "web": SECOND,
    }
    assert near.accept([event("late", ts=later, user_id="eve")]) == [ERASED]


def test_a_test_that_its_process_stopped_is_stopped_though_it_is_created_again(host: ShopHost) -> None:
    """As the store would have it, also while that is away; another definition under its key is a conflict at once."""
    users = host.process.users
    users.create_ab_test("T", ["a", "b"])
    users.stop_ab_test("t", "b")
    assert users.create_ab_test("T", ["a", "b"]) == "t"
    assert {users.assign_variant("t", user) for user in range(20)} == {"b"}
    with pytest.raises(Conflict, match="exists with another definition: variants"):
        users.create_ab_test("T", ["c", "d"])


def test_a_spool_that_has_room_again_is_asked_again(host: ShopHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it was full, what is recorded before a question is kept before it once more."""
    recorder, track = host.process.recorder, host.process.users.track_event

    def append(records: Sequence[Record]) -> None:
        raise StoreUnavailable("spool_full", "it is full", "see why")

    with monkeypatch.context() as patch:
        patch.setattr(host.process.forwarder, "append", append)
        track("ann", "click", "button")
        assert (recorder.settle(), recorder.queue_length) == (1, 1)
    assert recorder.flush()
    track("ann", "click", "button")
    assert (recorder.settle(), recorder.queue_length) == (2, 0)
