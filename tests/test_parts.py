from __future__ import annotations

from collections.abc import Callable

import pytest

from otel_measure.parts import LEAST_S, Part, Parts


class Walk:
    """Three parts that note what they are asked, and a clock that moves on when one takes its time."""

    def __init__(self, *, raises: str = "", takes_s: float = 0.0, fails: str = "") -> None:
        self.now_s = 0.0
        self.notes: list[str] = []
        self.given_s: list[float] = []
        self.faults: list[tuple[str, str]] = []
        self._raises, self._takes_s, self._fails = raises, takes_s, fails
        self.parts = Parts([self._part(name) for name in ("first", "second", "third")], self._fault, lambda: self.now_s)

    def _fault(self, what: str, message: str, error: Exception) -> None:
        self.faults.append((what, message))

    def _note(self, moment: str, name: str) -> Callable[[], None]:
        def note() -> None:
            self.notes.append(f"{moment} {name}")
            if self._raises == f"{moment} {name}":
                raise RuntimeError("mine")

        return note

    def _timed(self, moment: str, name: str) -> Callable[[float], bool]:
        note = self._note(moment, name)

        def timed(timeout_s: float) -> bool:
            self.given_s.append(timeout_s)
            self.now_s += self._takes_s
            note()
            return self._fails != f"{moment} {name}"

        return timed

    def _part(self, name: str) -> Part:
        return Part(
            name=name,
            start=self._note("start", name),
            flush=self._timed("flush", name),
            stop=self._timed("stop", name),
            before_fork=self._note("hold", name),
            after_fork_in_parent=self._note("free", name),
            after_fork_in_child=self._note("renew", name),
        )


def test_what_feeds_others_starts_after_them_and_ends_before_them() -> None:
    """Starting, and going on after a fork, is from the last to the first; all else from the first to the last."""
    walk = Walk()
    walk.parts.start()
    assert walk.parts.flush(1.0)
    assert walk.parts.stop(1.0)
    walk.parts.before_fork()
    walk.parts.after_fork_in_parent()
    walk.parts.after_fork_in_child()
    forwards, backwards = ("first", "second", "third"), ("third", "second", "first")
    assert walk.notes == [
        *(f"start {name}" for name in backwards),
        *(f"flush {name}" for name in forwards),
        *(f"stop {name}" for name in forwards),
        *(f"hold {name}" for name in forwards),
        *(f"free {name}" for name in backwards),
        *(f"renew {name}" for name in backwards),
    ]


def test_a_part_that_has_nothing_to_do_in_a_moment_leaves_it_out() -> None:
    """All moments have a default, which succeeds."""
    parts = Parts([Part(name="quiet")], Walk()._fault)
    parts.start()
    parts.before_fork()
    parts.after_fork_in_parent()
    parts.after_fork_in_child()
    assert (parts.flush(0.0), parts.stop(0.0)) == (True, True)


def test_a_start_that_fails_leaves_nothing_running() -> None:
    """Everything is stopped, and the error is the caller's."""
    walk = Walk(raises="start second")
    with pytest.raises(RuntimeError, match="mine"):
        walk.parts.start()
    assert walk.notes == ["start third", "start second", "stop first", "stop second", "stop third"]


def test_the_time_is_shared() -> None:
    """Each part has what those before it have left; when it is used up and nothing has failed, a little for the end."""
    walk = Walk(takes_s=0.75)
    assert walk.parts.flush(1.0)
    assert walk.given_s == [1.0, 0.25, 0.0]
    walk = Walk(takes_s=0.75)
    assert walk.parts.stop(1.0)
    assert walk.given_s == [1.0, 0.25, LEAST_S]


def test_a_flush_ends_with_the_failure_that_took_all_the_time() -> None:
    """A locked store would take as much from each part behind the first."""
    walk = Walk(takes_s=2.0, fails="flush first")
    assert not walk.parts.flush(1.0)
    assert walk.notes == ["flush first"]
    walk = Walk(takes_s=0.1, fails="flush first")
    assert not walk.parts.flush(1.0)
    assert walk.notes == ["flush first", "flush second", "flush third"]


def test_every_part_is_stopped_whatever_another_one_does() -> None:
    """One that failed when the time was up leaves none for those behind it, and one that raised is a fault."""
    walk = Walk(takes_s=2.0, fails="stop first")
    assert not walk.parts.stop(1.0)
    assert (walk.given_s, walk.faults) == ([1.0, 0.0, 0.0], [])
    walk = Walk(raises="stop second")
    assert not walk.parts.stop(1.0)
    assert walk.notes == ["stop first", "stop second", "stop third"]
    assert walk.faults == [("second", "second did not stop in order: RuntimeError('mine')")]


def test_every_part_begins_anew_in_a_child_whatever_another_one_raises() -> None:
    """One that raised is a fault, told when all others are those of the child."""
    walk = Walk(raises="renew second")
    walk.parts.after_fork_in_child()
    assert walk.notes == ["renew third", "renew second", "renew first"]
    assert walk.faults == [("second", "second did not begin anew in a child: RuntimeError('mine')")]
