"""The gate between reads and forks."""

from __future__ import annotations

import threading
import time

from otel_measure.store.sqlite.gate import Gate


def test_closing_waits_for_those_inside_and_keeps_others_out() -> None:
    """A fork begins when the last read has ended, and the next read when the fork is done."""
    gate = Gate()
    entered, go_on, closed, second = (threading.Event() for _ in range(4))

    def first() -> None:
        with gate.passing():
            entered.set()
            with gate.passing():  # who is inside may pass again, though the gate is closing
                go_on.wait(60)

    def late() -> None:
        with gate.passing():
            second.set()

    def close() -> None:
        gate.close(60)
        closed.set()

    threads = [threading.Thread(target=first), threading.Thread(target=close)]
    threads[0].start()
    assert entered.wait(60)
    threads[1].start()
    assert not closed.wait(0.05)
    go_on.set()
    assert closed.wait(60)
    threads.append(threading.Thread(target=late))
    threads[2].start()
    assert not second.wait(0.05)
    gate.open()
    assert second.wait(60)
    for thread in threads:
        thread.join(60)


def test_who_forks_while_reading_does_not_wait_for_itself() -> None:
    """The closing thread's own read does not count, and it can go on reading in the parent."""
    gate = Gate()
    began_s = time.monotonic()
    with gate.passing():
        gate.close(60)
        with gate.passing():
            gate.open()
    gate.close(60)
    assert time.monotonic() - began_s < 30


def test_closing_does_not_wait_for_ever() -> None:
    """A read that does not end delays a fork and does not prevent it; afterwards the gate is as before."""
    gate = Gate()
    entered, go_on = threading.Event(), threading.Event()

    def hung() -> None:
        with gate.passing():
            entered.set()
            go_on.wait(60)

    thread = threading.Thread(target=hung)
    thread.start()
    assert entered.wait(60)
    gate.close(0.01)
    gate.open()
    with gate.passing():
        go_on.set()
    thread.join(60)
    gate.close(60)
