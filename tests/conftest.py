"""Hypothesis profiles, what is closed at the end of a test, and the fixture that starts processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from otel_measure import process
from otel_measure.store.sqlite import migrations
from tests.closing import close_all
from tests.components import ON_CI, Running, RunProcess, running
from tests.store.sqlite import new_schema

# No deadline: machines shared by several suites stall for longer than any example takes.
settings.register_profile("dev", deadline=None, max_examples=50)
settings.register_profile(
    "ci", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("brief", deadline=None, max_examples=8, derandomize=True)  # the second interpreter
settings.load_profile("ci" if ON_CI else "dev")


# Where tests start the real programs, some of them dozens.
_WHOLE_PROGRAMS = {Path(__file__).parent / folder for folder in ("chaos", "e2e")}


def pytest_xdist_auto_num_workers() -> int:
    """Run two tests more at once than there are cores: some wait, for a disk, a clock, a server."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage while laws are tested: it takes as long as they do; a line needs one example to be covered.

    Simulations are marked one by one: they take three times as long with it.
    """
    for item in items:
        if item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage in the processes of tests of whole programs, and of those that are not measured themselves.

    It costs each half of its start once more, and servers under load a third of their time; what they run is covered
    by the tests of its parts.
    """
    is_measured = not item.get_closest_marker("no_cover") and not _WHOLE_PROGRAMS.intersection(item.path.parents)
    with pytest.MonkeyPatch.context() as patched:
        if not is_measured:
            patched.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


# Not those of a sampler and a recorder: a test that plays the child of a fork forgets them, and they wait.
_AT_WORK = {"otel-measure-background", "otel-measure-push"}


@pytest.fixture(scope="session", autouse=True)
def make_new_stores_at_once() -> Iterator[None]:
    """Give the new stores of this process the last state of the schema, and not every step to it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(migrations, "run", new_schema.run)
        yield


@pytest.fixture(autouse=True)
def close_what_was_opened() -> Iterator[None]:
    """Close what the test gave to `closed_later`."""
    yield
    close_all()


@pytest.fixture(autouse=True)
def leave_no_runtime() -> Iterator[None]:
    """Fail a test that leaves a runtime to the process: the next one that wants another would fail in its place."""
    before = process.install(None)
    process.install(before)
    yield
    left = process.install(before)
    if left is not None and left is not before:
        left.shutdown(1.0)
        pytest.fail(f"the test has left a runtime over {left.settings.store} behind: call otel_measure.shutdown()")


@pytest.fixture(autouse=True)
def leave_no_background() -> Iterator[None]:
    """Fail a test that leaves a runtime at work: what recurs in it would slow down every test that follows."""
    before = _threads_at_work()
    yield
    left = _threads_at_work() - before
    for thread in left:
        thread.join(timeout=30)  # one that has been told to end is still at its last turn
    if alive := sorted(thread.name for thread in left if thread.is_alive()):
        pytest.fail(f"the test has left {', '.join(alive)} behind: call shutdown() of its runtime")


def _threads_at_work() -> set[threading.Thread]:
    """Return the threads of runtimes that go on until they are told to end."""
    return {thread for thread in threading.enumerate() if thread.name in _AT_WORK}


@pytest.fixture
def run_process(tmp_path: Path) -> Iterator[RunProcess]:
    """Start processes that are stopped, last one first, when the test ends; their output is shown if it failed."""
    with ExitStack() as stack:

        def start(*args: str, **env: str) -> Running:
            log = tmp_path / f"process-{len(list(tmp_path.glob('process-*.log')))}.log"
            return stack.enter_context(running(args, log, env=env))

        yield start
