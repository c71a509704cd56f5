from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path

import pytest

from otel_measure import context, process
from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.errors import Conflict, NoStore, NotFound, StoreUnavailable
from otel_measure.experiments.service import ExperimentService
from otel_measure.records.kinds import AbConversion, Exposure, Origin, Record
from otel_measure.runtime import Runtime
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.types.experiments import Experiment
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.testing import Capture
from otel_measure.users.ab_tests import AbTestCalls, AbTests

VARIANTS = ["control", "variant_a"]


def calls_of(kind: type) -> dict[str, inspect.Signature]:
    """The signatures of the calls that `analytics` passes on."""
    names = ["create_ab_test", "stop_ab_test", "assign_variant", "record_ab_conversion", "get_ab_test_results"]
    return {name: inspect.signature(getattr(kind, name)) for name in names}


def test_the_calls_are_the_same_everywhere() -> None:
    """What users type, the interface and the service have equal signatures."""
    assert calls_of(AbTestCalls) == calls_of(AbTests) == calls_of(ExperimentService)


def test_the_block_of_the_quick_start_runs_on_an_empty_store() -> None:
    """Five users are assigned, one converts, and the rates are those of their arms."""
    with Capture() as capture:
        analytics = capture.users
        test_id = analytics.create_ab_test(test_name="New Homepage", variants=VARIANTS)
        assigned = {user_id: analytics.assign_variant(test_id, user_id) for user_id in [1, 2, 3, 4, 5]}
        analytics.record_ab_conversion(test_id, user_id=1)
        results = analytics.get_ab_test_results(test_id)
    assert test_id == "new-homepage"
    assert assigned == {1: "control", 2: "variant_a", 3: "control", 4: "control", 5: "control"}
    assert results.control_conversion_rate == 0.25
    assert results.variant_conversion_rates == {"control": 0.25, "variant_a": 0.0}
    assert (results.variant_users, results.verdict) == ({"control": 4, "variant_a": 1}, "not_enough_data")


def test_results_before_anybody_came_are_unknown() -> None:
    """The arithmetic of the quick start runs when nobody has been assigned."""
    with Capture() as capture:
        results = capture.users.get_ab_test_results(capture.users.create_ab_test("T", VARIANTS))
    assert isnan(results.control_conversion_rate)
    assert results.variant_users == {"control": 0, "variant_a": 0}


def test_users_outside_coverage_are_not_exposed() -> None:
    """They get no variant, and no record is made."""
    with Capture() as capture:
        test_id = capture.users.create_ab_test("T", VARIANTS, coverage=0.0001)
        assert [capture.users.assign_variant(test_id, user) for user in range(50)] == [None] * 50
        assert capture.events() == []


def test_conversions_count_once_per_user_from_the_exposure_on() -> None:
    """Earlier ones, further ones, and those of users never assigned are recorded and not counted."""
    with Capture() as capture:
        users = capture.users
        test_id = users.create_ab_test("T", VARIANTS)
        early = moment(capture.clock.now_us) - timedelta(days=1)
        for user in ("early", "late", "twice"):
            users.assign_variant(test_id, user)
        users.record_ab_conversion(test_id, "early", timestamp=early)
        for user in ("late", "twice", "twice", "nobody"):
            users.record_ab_conversion(test_id, user)
        ids = [users.record_ab_conversion(test_id, "late", event_id="mine") for _ in range(2)]
        results = users.get_ab_test_results(test_id)
    assert ids == ["mine", "mine"]
    assert (results.users, results.conversions) == (3, 2)


def test_a_conversion_after_logging_in_is_the_visitors() -> None:
    """Who was assigned under an anonymous id and is identified has converted under the other."""
    with Capture() as capture:
        test_id = capture.users.create_ab_test("T", VARIANTS)
        capture.users.assign_variant(test_id, "visitor")
        capture.users.record_ab_conversion(test_id, 7)
        assert capture.users.get_ab_test_results(test_id).conversions == 0
        capture.users.identify("visitor", 7)
        assert capture.users.get_ab_test_results(test_id).conversions == 1


def test_the_user_of_the_surrounding_context_is_assigned() -> None:
    """`None` is the user of `context()`; without one it is refused."""
    with Capture() as capture:
        test_id = capture.users.create_ab_test("T", VARIANTS)
        with context(user_id=2, session_id="s"):
            assert capture.users.assign_variant(test_id, None) == capture.users.assign_variant(test_id, "2")
            conversion = capture.runtime.experiments.conversion_record(test_id, None)
        with pytest.raises(ValueError, match="user_id must be an int, a UUID or a non-empty string"):
            capture.users.assign_variant(test_id, None)
    assert (conversion.user_id, conversion.experiment) == ("2", "t")


def test_an_unknown_test_is_not_found() -> None:
    """Every call but the creation says so by name."""
    with Capture() as capture:
        calls: list[Callable[[], object]] = [
            lambda: capture.users.assign_variant("none", 1),
            lambda: capture.users.record_ab_conversion("none", 1),
            lambda: capture.users.get_ab_test_results("none"),
        ]
        for call in calls:
            with pytest.raises(NotFound, match=r"no test named 'none'"):
                call()


def test_the_same_definition_is_the_same_test_and_another_a_conflict(tmp_path: Path) -> None:
    """Through another worker as well; the message names what differs."""
    settings = Settings(store=str(tmp_path / "measure.db"))
    workers = [Runtime(settings), Runtime(settings)]
    ids = [worker.users.create_ab_test("T", VARIANTS, weights=[0.5, 0.5]) for worker in (*workers, workers[0])]
    assert ids == ["t", "t", "t"]
    for worker in workers:
        with pytest.raises(Conflict, match=r"'t' exists with another definition: coverage is 1.0 there and 0.5 here;"):
            worker.users.create_ab_test("T", VARIANTS, coverage=0.5)
        with pytest.raises(
            Conflict, match=r"weights is \(0.5, 0.5\) there and \(0.9, 0.1\) here; other weights would move"
        ):
            worker.users.create_ab_test("T", VARIANTS, weights=[0.9, 0.1])
    assert workers[1].users.assign_variant("t", 1) == workers[0].users.assign_variant("t", 1)
    for worker in workers:
        worker.flush()
    assert [worker.users.get_ab_test_results("t").users for worker in workers] == [1, 1]
    for worker in workers:
        worker.shutdown()


def test_nobody_flips_at_login() -> None:
    """200 visitors log in and go on with the variant they met, on every device from then on; nobody is excluded."""
    with Capture() as capture:
        users = capture.users
        test_id = users.create_ab_test("New checkout", ["a", "b"])
        for user in range(1, 201):
            before = users.assign_variant(test_id, f"anon-{user}")
            users.identify(f"anon-{user}", user)
            users.identify(f"tablet-{user}", user)
            assert [users.assign_variant(test_id, each) for each in (user, f"tablet-{user}")] == [before, before]
        results = users.get_ab_test_results(test_id)
    assert (results.users, results.crossed_over, results.excluded_users) == (200, 0, 0)


def test_ids_that_were_linked_before_any_exposure_are_one_unit() -> None:
    """Whichever of them comes first, and before what it met is committed, all of them get the same."""
    with Capture() as capture:
        test_id = capture.users.create_ab_test("T", ["a", "b"])
        for user in range(1, 51):
            for device in range(3):
                capture.users.identify(f"{user}-{device}", user)
            got = {capture.users.assign_variant(test_id, each) for each in (f"{user}-0", f"{user}-1", user)}
            assert len(got) == 1


def test_who_met_two_variants_on_two_devices_stays_in_the_first() -> None:
    """Logged in on both, the variant met first is that of every device; results have the person once, there."""
    with Capture() as capture:
        users = capture.users
        test_id = users.create_ab_test("T", ["a", "b"])
        ids = iter(range(1, 100))
        phone, laptop = (next(i for i in ids if users.assign_variant(test_id, i) == variant) for variant in "ab")
        capture.clock.advance(timedelta(hours=1))
        with Capture() as other:
            users = other.users
            test_id = users.create_ab_test("T", ["a", "b"])
            assert users.assign_variant(test_id, laptop) == "b"
            other.clock.advance(timedelta(hours=1))
            assert users.assign_variant(test_id, phone) == "a"
            for device in (phone, laptop):
                users.identify(device, "ann")
            assert {users.assign_variant(test_id, each) for each in (phone, laptop, "ann")} == {"b"}
            users.record_ab_conversion(test_id, phone)
            results = users.get_ab_test_results(test_id)
    assert (results.variant_users, results.variant_conversions) == ({"a": 0, "b": 1}, {"a": 0, "b": 1})
    assert (results.crossed_over, results.excluded_users) == (1, 0)


def test_a_higher_coverage_moves_nobody(tmp_path: Path) -> None:
    """Who had a variant keeps it, more get one, in every process; a lower coverage is refused with the reason."""
    settings = Settings(store=str(tmp_path / "measure.db"))
    workers = [Runtime(settings), Runtime(settings)]
    test_id = workers[0].users.create_ab_test("T", VARIANTS, coverage=0.2)
    before = [workers[1].users.assign_variant(test_id, user) for user in range(300)]
    assert workers[0].users.create_ab_test("T", VARIANTS, coverage=0.6) == test_id
    after = [workers[1].users.assign_variant(test_id, user) for user in range(300)]
    with pytest.raises(Conflict, match=r"coverage is 0\.6 there and 0\.2 here; coverage may be raised and not lowered"):
        workers[1].users.create_ab_test("T", VARIANTS, coverage=0.2)
    assert workers[1].users.get_ab_test_results(test_id).coverage == 0.6
    for worker in workers:
        worker.shutdown()
    assert all(now == then for then, now in zip(before, after, strict=True) if then is not None)
    assert 40 < sum(v is not None for v in before) < 80 < 150 < sum(v is not None for v in after) < 210


def test_a_stopped_test_gives_everybody_the_winner(tmp_path: Path) -> None:
    """In every process at once, those outside coverage too; what happens from then on is not counted."""
    settings = Settings(store=str(tmp_path / "measure.db"))
    workers = [Runtime(settings), Runtime(settings)]
    one, other = (worker.users for worker in workers)
    test_id = one.create_ab_test("T", VARIANTS, coverage=0.5)
    assert {other.assign_variant(test_id, user) for user in range(50)} == {*VARIANTS, None}
    other.record_ab_conversion(test_id, 1)
    before = other.get_ab_test_results(test_id)
    with pytest.raises(ValueError, match=r"winner must be one of the variants \['control', 'variant_a'\], not 'b'"):
        one.stop_ab_test(test_id, "b")
    assert one.stop_ab_test(test_id, "variant_a") == "variant_a"
    assert {other.assign_variant(test_id, user) for user in range(100)} == {"variant_a"}
    for user in range(100):
        other.record_ab_conversion(test_id, user)
    after = other.get_ab_test_results(test_id)
    assert (after.users, after.conversions) == (before.users, before.conversions)
    assert after.stopped_at is not None
    assert (after.served_variant, after.verdict) == ("variant_a", before.verdict)
    assert other.create_ab_test("T", VARIANTS, coverage=0.5) == test_id
    assert other.stop_ab_test(test_id) == "control"
    assert one.assign_variant(test_id, 1) == "control"
    assert one.get_ab_test_results(test_id).stopped_at == after.stopped_at
    for worker in workers:
        worker.shutdown()


def test_the_conversion_of_a_test_is_nothing_of_the_users() -> None:
    """One order told to two tests is one conversion for users, and a conversion alone is no activity."""
    with Capture() as capture:
        users = capture.users
        tests = [users.create_ab_test(name, VARIANTS) for name in ("One", "Two")]
        for test_id in tests:
            users.assign_variant(test_id, 1)
            users.record_ab_conversion(test_id, 1)
            users.record_ab_conversion(test_id, "nobody")
        users.track_event(1, "conversion", "order")
        conversion, engagement = users.get_conversion_metrics(), users.get_engagement_metrics()
        converted = [users.get_ab_test_results(test_id).conversions for test_id in tests]
    assert converted == [1, 1]
    assert (conversion.entered_users, conversion.converted_users, conversion.total_conversions) == (1, 1, 1)
    assert (engagement.dau, engagement.sessions) == (1, 1)


CREATE = """
import sys
from otel_measure import configure, get_user_analytics_service, shutdown
configure(store=sys.argv[1])
analytics = get_user_analytics_service()
test_id = analytics.create_ab_test("New Homepage", ["control", "variant_a"])
print(test_id, [analytics.assign_variant(test_id, user) for user in range(20)])
shutdown()
"""


def test_processes_that_start_together_create_one_test(tmp_path: Path) -> None:
    """Each gets the same id and gives the same users the same variants, and each user counts once."""
    path = str(tmp_path / "measure.db")
    started = [
        subprocess.Popen([sys.executable, "-c", CREATE, path], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    printed = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(set(printed)) == 1
    reader = Runtime(Settings(store=path))
    results = reader.experiments.list_ab_tests()
    alone = [reader.users.get_ab_test_results("new-homepage") for _ in range(2)]
    reader.shutdown()
    assert [one.users for one in alone] == [20, 20]
    assert [(one.test_id, one.users) for one in results.experiments] == [("new-homepage", 20)]
    assert len(results.experiments) == 1


def test_without_a_store_users_are_assigned_and_results_refused() -> None:
    """Definitions live in the process; what needs the records of all is refused by name."""
    with Capture(Settings(store=None)) as capture:
        test_id = capture.users.create_ab_test("New Homepage", VARIANTS)
        assert capture.users.assign_variant(test_id, 2) == "variant_a"
        with pytest.raises(Conflict):
            capture.users.create_ab_test("New Homepage", ["a", "b"])
        with pytest.raises(Conflict, match="coverage may be raised"):
            capture.users.create_ab_test("New Homepage", VARIANTS, coverage=0.5)
        assert capture.users.stop_ab_test(test_id) == "control"
        assert [capture.users.assign_variant(test_id, user) for user in range(5)] == ["control"] * 5
        with pytest.raises(NoStore, match="the result of a test needs a store"):
            capture.users.get_ab_test_results(test_id)
        with pytest.raises(NoStore, match="the results of tests needs a store"):
            capture.runtime.experiments.list_ab_tests()


class Broken:
    """A store that cannot be read."""

    def asking(self, _: object) -> None:
        raise StoreUnavailable("corrupt", "x.db is damaged", "restore it")


class RecordList(list[Record]):
    """A recorder that remembers."""

    put = list.append


def test_a_store_that_cannot_be_read_never_reaches_the_host(caplog: pytest.LogCaptureFixture) -> None:
    """Users are left out of a test that this process does not know yet, and that is logged once."""
    recorded = RecordList()
    service = ExperimentService(Origin("s"), recorded, Broken(), lambda: 0, lambda: "id")  # type: ignore[arg-type]
    assert [service.assign_variant("t", user) for user in (1, 2)] == [None, None]
    assert recorded == []
    assert len([line for line in caplog.messages if "users are left out of test 't'" in line]) == 1


class Failing:
    """A store that knows one test until it breaks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_broken = False

    def define_experiment(self, experiment: Experiment) -> Experiment:
        return self._store.define_experiment(experiment)

    def asking(self, where: Filter = EVERYTHING) -> AbstractContextManager[Moment]:
        if self.is_broken:
            raise StoreUnavailable("corrupt", "x.db is damaged", "restore it")
        return self._store.asking(where)


def test_the_hash_decides_while_the_store_cannot_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    """Of a test that this process knows: the same variants as without a store, and a line in the log."""
    with Capture() as capture:
        assert capture.runtime.store is not None
        store, recorded = Failing(capture.runtime.store), RecordList()
        service = ExperimentService(Origin("s"), recorded, store, lambda: 0, lambda: "id")  # type: ignore[arg-type]
        test_id = service.create_ab_test("New Homepage", VARIANTS)
        store.is_broken = True
        assigned = [service.assign_variant(test_id, user) for user in (1, 2, 3)]
    assert assigned == ["control", "variant_a", "control"]
    assert len(recorded) == 3
    assert len([line for line in caplog.messages if "the hash decides in test 'new-homepage'" in line]) == 1


def test_records_carry_what_they_need() -> None:
    """An exposure and a conversion name test, user, time and origin; a time far ahead is clamped and flagged."""
    with Capture() as capture:
        capture.users.create_ab_test("T", VARIANTS)
        service, now = capture.runtime.experiments, capture.clock.now_us
        origin = Origin(capture.runtime.settings.service_name, capture.runtime.settings.environment)
        exposure = service.assignment("t", 1).exposure
        ahead = service.conversion_record("t", 1, timestamp=datetime(2999, 1, 1, tzinfo=UTC), event_id="e")
    assert exposure is not None
    assert exposure == Exposure(
        id=exposure.id, ts=exposure.ts, origin=origin, user_id="1", experiment="t", variant=exposure.variant
    )
    assert ahead == AbConversion(
        id="e", ts=ahead.ts, origin=origin, user_id="1", experiment="t", client_clock=True, clamped=True
    )
    assert exposure.ts >= now
    assert ahead.ts >= now


def test_the_public_accessor_has_the_calls() -> None:
    """`get_user_analytics_service()` creates tests."""
    with Capture():
        assert process.get_user_analytics_service().create_ab_test("T", VARIANTS) == "t"


def test_the_clock_of_who_tells_of_a_conversion_is_corrected() -> None:
    """By what it was off when it sent, unless that is transit."""
    with Capture() as capture:
        test_id, now = capture.users.create_ab_test("t", VARIANTS), moment(capture.clock.now_us)
        made = capture.runtime.experiments.conversion_record
        told, an_hour, seconds = now - timedelta(hours=3), timedelta(hours=1), timedelta(seconds=59)
        times = [made(test_id, 1, timestamp=told, sent_at=sent).ts for sent in (now - an_hour, now - seconds, None)]
    assert [moment(ts) for ts in times] == [told + an_hour, told, told]
