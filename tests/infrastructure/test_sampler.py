"""The sampler: one thread, own deltas, snapshots that nobody waits long for."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from math import isnan, nan
from types import ModuleType

import psutil
import pytest

from otel_measure.infrastructure import reports
from otel_measure.infrastructure.mounts import Space
from otel_measure.infrastructure.readings import NEVER_READ
from otel_measure.infrastructure.sampler import Sampler
from tests.infrastructure.fakes import GIB, Interface, Machine
from tests.waiting import until

BUSY = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


@pytest.fixture
def sampler() -> Iterator[Sampler]:
    """A sampler of this machine."""
    found = Sampler()
    yield found
    found.stop()


def sampler_threads() -> list[threading.Thread]:
    """The sampler threads that live."""
    return [thread for thread in threading.enumerate() if thread.name == "otel-measure-sampler"]


# Readings, under a clock of the test


def test_nothing_is_known_before_the_first_reading(machine: Machine) -> None:
    """A sampler that never ran has a snapshot in which everything is unknown, and no thread."""
    assert machine.sampler.latest() is NEVER_READ
    assert not machine.sampler.running


def test_rate_needs_two_readings(machine: Machine) -> None:
    """After one reading levels are known and rates are not; after two, both are."""
    first = machine.sampler.sample()
    assert isnan(reports.cpu(first).usage_percent)
    assert isnan(reports.network(first).sent_bytes_per_second)
    assert reports.memory(first).used_percent == 25.0
    machine.spend(2, user=6, idle=2)
    machine.psutil.interfaces["eth0"] = Interface(3000, 2000, 10, 20, 1, 2, 3, 4)
    second = machine.sampler.sample()
    assert reports.cpu(second).usage_percent == 75.0
    assert reports.network(second).sent_bytes_per_second == 1000.0


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_step_of_the_wall_clock_changes_no_rate(machine: Machine, step_s: float) -> None:
    """Rates are over the monotonic clock, so a stepped wall clock leaves them alone and shows in the timestamp only."""
    machine.sampler.sample()
    machine.spend(2, user=6, idle=2)
    machine.psutil.interfaces["eth0"] = Interface(3000, 2000, 10, 20, 1, 2, 3, 4)
    machine.clock.wall_s += step_s
    snapshot = machine.sampler.sample()
    assert reports.cpu(snapshot).usage_percent == 75.0
    assert reports.network(snapshot).sent_bytes_per_second == 1000.0
    assert reports.timestamp(snapshot).timestamp() == 1_700_000_002 + step_s


def test_cpu_usage_is_that_of_the_last_five_seconds(machine: Machine) -> None:
    """What the CPUs did before does not count any more."""
    for busy_s in (4, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1):
        machine.sampler.sample()
        machine.spend(1, user=busy_s, idle=4 - busy_s)
    assert reports.cpu(machine.sampler.sample()).usage_percent == 25.0


def test_cpu_usage_falls_back_to_the_last_interval(machine: Machine) -> None:
    """With readings farther apart than the window, the latest interval is the window."""
    machine.sampler.sample()
    machine.spend(60, idle=240)
    machine.sampler.sample()
    machine.spend(20, user=40, idle=40)
    assert reports.cpu(machine.sampler.sample()).usage_percent == 50.0


def test_averages_are_over_five_minutes_of_time(machine: Machine) -> None:
    """The averages forget what is older and weigh by time, not by the number of questions."""
    machine.sampler.sample()
    machine.spend(100, user=400)
    machine.sampler.sample()
    machine.spend(200, user=400, idle=400)
    machine.psutil.memory["available"] = 4 * GIB
    machine.sampler.sample()
    machine.spend(100, idle=400)
    machine.psutil.memory["available"] = 2 * GIB
    averages = machine.sampler.sample().averages
    assert averages.seconds == 300.0
    assert averages.cpu_percent == pytest.approx(100 / 3)
    assert averages.memory_percent == pytest.approx((200 * 50 + 100 * 75) / 300)
    assert averages.disk_percent == pytest.approx(400 / 9)


def test_container_usage_is_a_share_of_its_quota(machine: Machine) -> None:
    """Half of half a CPU is 50 % of the container and an eighth of the host's four."""
    machine.limit(cores=0.5, memory_bytes=GIB, used_s=8.0, working_set_bytes=GIB // 4)
    machine.sampler.sample()
    machine.spend(2, user=1, idle=7)
    machine.limit(cores=0.5, memory_bytes=GIB, used_s=8.5, working_set_bytes=GIB // 4)
    snapshot = machine.sampler.sample()
    cpu = reports.cpu(snapshot)
    assert cpu.host is not None
    assert (cpu.scope, cpu.usage_percent, cpu.user_percent, cpu.core_count) == ("container", 50.0, 37.5, 0.5)
    assert (cpu.host.scope, cpu.host.usage_percent, cpu.host.core_count) == ("host", 12.5, 4.0)
    assert (snapshot.averages.cpu_percent, snapshot.averages.memory_percent) == (50.0, 25.0)


def test_fault_is_logged_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    """A part that cannot be read is a number one can see, and one line in the log."""
    sampler = Sampler(broken_psutil(ModuleType("broken")))
    with caplog.at_level(logging.WARNING):
        sampler.sample()
        sampler.sample()
    assert sampler.errors["memory"] == 2
    assert [line for line in caplog.messages if "read memory" in line] == [
        "cannot read memory of this machine, it stays unknown: "
        """AttributeError("module 'broken' has no attribute 'virtual_memory'")"""
    ]


def broken_psutil(module: ModuleType) -> ModuleType:
    """A psutil that lists partitions and knows nothing else."""
    module.disk_partitions = list  # type: ignore[attr-defined]
    return module


# Callers and the thread


def test_first_question_waits_for_a_second_reading(sampler: Sampler) -> None:
    """The first answer has rates, after a tenth of a second and some scheduling, and long before the wait is over."""
    began_s = time.monotonic()
    snapshot = sampler.fresh(wait_s=60)
    assert 0.05 <= time.monotonic() - began_s < 30
    assert snapshot.before is not None
    assert 0 <= reports.cpu(snapshot).usage_percent <= 100
    assert sampler.running


def test_fresh_snapshot_is_not_taken_again(sampler: Sampler) -> None:
    """Who asks within a second gets the same snapshot, not another reading."""
    first = sampler.fresh(wait_s=60)
    assert sampler.fresh() is first
    assert sampler.latest() is first


def test_old_snapshot_is_replaced_when_somebody_asks(sampler: Sampler) -> None:
    """A question for something newer is answered by a reading of the thread."""
    first = sampler.fresh(wait_s=60)
    second = sampler.fresh(max_age_s=0, wait_s=60)
    assert second is not first
    assert second.before is first.now


def test_everybody_shares_one_thread(sampler: Sampler) -> None:
    """Questions from many threads make one sampler thread, a daemon."""
    before = len(sampler_threads())
    callers = [threading.Thread(target=sampler.fresh) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(sampler_threads()) == before + 1
    assert all(thread.daemon for thread in sampler_threads())


def test_machine_that_hangs_makes_nobody_wait() -> None:
    """While a reading hangs, the last snapshot is the answer, after a tenth of a second."""
    let_go = threading.Event()
    hanging = broken_psutil(ModuleType("hanging"))
    hanging.virtual_memory = lambda: let_go.wait(60)  # type: ignore[attr-defined]
    sampler = Sampler(hanging)
    try:
        began_s = time.monotonic()
        assert sampler.fresh() is NEVER_READ
        assert 0.1 <= time.monotonic() - began_s < 30  # the reading hangs for 60
        sampler.stop(timeout_s=0.01)
    finally:
        let_go.set()


def test_background_collection_reads_by_itself() -> None:
    """Once started, readings come at the interval without anybody asking, and end with stop."""
    others = sampler_threads()
    sampler = Sampler(interval_s=0.02)
    sampler.start()
    sampler.start()
    try:
        until(lambda: sampler.latest().averages.seconds >= 0.2)
        assert sampler.running
    finally:
        sampler.stop()
    assert [thread for thread in sampler_threads() if thread not in others] == []
    last = sampler.latest()
    threading.Event().wait(0.06)
    assert sampler.latest() is last


def test_cpu_times_are_read_between_full_readings() -> None:
    """Ticks keep the CPU window short although full readings are rare, and publish nothing themselves."""
    sampler = Sampler(tick_s=0.01, interval_s=60)
    first = sampler.fresh(wait_s=60)
    try:
        until(lambda: len(sampler._moments) >= 10)
        assert sampler.latest() is first
    finally:
        sampler.stop()


def test_child_of_a_fork_forgets_and_starts_anew(sampler: Sampler) -> None:
    """After a fork the readings of the parent are gone and a thread of the child's own runs."""
    sampler.fresh(wait_s=60)
    parents = sampler._thread
    sampler.after_fork_in_child()
    assert sampler.running
    assert sampler._thread is not parents
    assert sampler.fresh(wait_s=60).before is not None


def test_nobody_waits_for_a_reading_during_a_fork(machine: Machine) -> None:
    """Asked between the moments of a fork it answers with what it has, takes no lock and starts no thread."""
    sampler = machine.sampler
    for end_of_fork in (sampler.after_fork_in_parent, sampler.after_fork_in_child):
        sampler.before_fork()
        with sampler._changed:
            asked = threading.Thread(target=sampler.fresh, kwargs={"max_age_s": 0.0, "wait_s": 60.0})
            asked.start()
            asked.join(30)
            assert not asked.is_alive()
        assert not sampler.running
        end_of_fork()
        assert not sampler._forking


def test_child_of_a_stopped_sampler_stays_stopped(sampler: Sampler) -> None:
    """A sampler that was told to stop does not collect in the child either."""
    sampler.fresh(wait_s=60)
    sampler.stop()
    sampler.fresh(max_age_s=0, wait_s=60)
    sampler.after_fork_in_child()
    assert not sampler.running
    assert sampler.latest() is NEVER_READ


def test_stopped_sampler_still_answers(sampler: Sampler) -> None:
    """After stop a question is answered by a reading of its own, and no tick follows it."""
    first = sampler.fresh(wait_s=60)
    sampler.stop()
    second = sampler.fresh(max_age_s=0, wait_s=60)
    assert second.before is first.now
    sampler.stop()
    sampler.stop()


def test_interval_can_be_changed_while_running(sampler: Sampler) -> None:
    """Starting again with another interval keeps the thread and takes the interval."""
    sampler.start()
    thread = sampler._thread
    sampler.start(interval_s=3)
    assert (sampler._thread, sampler.interval_s) == (thread, 3)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_impossible_interval_is_refused(seconds: float) -> None:
    """An interval must be a positive number of seconds, and the message names the argument."""
    with pytest.raises(ValueError, match="interval_s must be a positive number of seconds"):
        Sampler(interval_s=seconds)
    with pytest.raises(ValueError, match="disk_timeout_s must be a positive number of seconds"):
        Sampler(disk_timeout_s=seconds)
    with pytest.raises(ValueError, match="interval_s must be a positive number of seconds"):
        Sampler().start(interval_s=seconds)


def test_space_of_any_directory_can_be_asked(sampler: Sampler, tmp_path: object) -> None:
    """A directory answers with its filesystem; one that is not there is an error that names it."""
    total, used, free = sampler.space(str(tmp_path))
    assert Space(total, used, free).total >= used + free > 0
    with pytest.raises(ValueError, match=r"mount_point must be an existing directory, not '/no/such/place'"):
        sampler.space("/no/such/place")
    with pytest.raises(ValueError, match=r"existing directory, not '\\x00': no directory can have this name"):
        sampler.space("\x00")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_child_collects_for_itself() -> None:
    """A child has neither its parent's thread nor its readings, and starts its own when the parent collected."""
    script = """
import os, warnings
warnings.simplefilter("ignore")
from otel_measure.infrastructure.sampler import Sampler
sampler, idle = Sampler(), Sampler()
before = sampler.fresh(wait_s=60)
os.register_at_fork(after_in_child=sampler.after_fork_in_child)
os.register_at_fork(after_in_child=idle.after_fork_in_child)
pid = os.fork()
if pid == 0:
    after = sampler.fresh(wait_s=60)
    ok = sampler.running and after is not before and after.before is not None and not idle.running
    os._exit(0 if ok else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), sampler.running)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("0 True\n", "")


# Against psutil itself


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "under load"])
def test_cpu_usage_agrees_with_psutil_from_a_fresh_thread(busy: bool) -> None:
    """Over the same seconds, a thread started just now reads what psutil's blocking call measured."""
    burner = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    sampler = Sampler()
    seen, expected = list[float](), nan

    def agree() -> bool:
        nonlocal expected
        seen.clear()
        sampler.sample()
        expected = psutil.cpu_percent(interval=1.5)
        sampler.sample()
        asking = threading.Thread(target=lambda: seen.append(reports._host_cpu(sampler.fresh()).usage_percent))
        asking.start()
        asking.join()
        return seen == [pytest.approx(expected, abs=10)]

    try:
        any(agree() for _ in range(5))  # where the machine pauses between both they are not of the same seconds
    finally:
        sampler.stop()
        if burner:
            burner.kill()
            burner.wait()
    assert seen == [pytest.approx(expected, abs=10)]
    assert not busy or expected > 20


def test_levels_are_those_of_psutil(sampler: Sampler) -> None:
    """Memory, CPU time and filesystems are psutil's figures of the same moment."""
    used = [psutil.virtual_memory().used]
    now = sampler.fresh(wait_s=60).now
    times, memory = psutil.cpu_times(), psutil.virtual_memory()
    used.append(memory.used)
    assert now.cpu.host.user + now.cpu.host.idle == pytest.approx(times.user + times.idle, rel=0.01)
    assert now.memory.total == memory.total
    assert 0.95 * min(used) <= now.memory.used <= 1.05 * max(used)
    assert now.core_count == psutil.cpu_count()
    assert sampler.errors == {}
    root = next(f for f in now.filesystems if f.mount_point == "/")
    assert root.total == psutil.disk_usage("/").total
