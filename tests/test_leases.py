from __future__ import annotations

from otel_measure.leases import LASTS_US, StoreLease
from otel_measure.testing import Capture


def test_one_holder_at_a_time_until_it_is_silent() -> None:
    """Who has it keeps it by taking it again; another one gets it when it was given up, or has run out."""
    with Capture() as capture:
        store = capture.runtime.store
        assert store is not None
        one = StoreLease(store, "job", lambda: "one", capture.clock)
        other = StoreLease(store, "job", lambda: "other", capture.clock)
        assert (one.take(), other.take(), one.take()) == (True, False, True)
        one.give_up()
        assert (other.take(), one.take()) == (True, False)
        capture.clock.now_us += LASTS_US + 1
        assert (one.take(), other.take()) == (True, False)


def test_leases_of_other_keys_are_others() -> None:
    """Of one host and another, each has a writer."""
    with Capture() as capture:
        store = capture.runtime.store
        assert store is not None
        here = StoreLease(store, "host:a", lambda: "one", capture.clock)
        there = StoreLease(store, "host:b", lambda: "other", capture.clock)
        assert (here.take(), there.take()) == (True, True)
