"""A flood of refusals is a line a minute."""

from __future__ import annotations

from exporter.http.refusals import RefusalLog


def test_a_flood() -> None:
    """The first of a kind is logged at once, those after it once a minute with how many there were."""
    now_s, lines = [0.0], list[str]()
    log = RefusalLog(lines.append, 60.0, lambda: now_s[0])
    for _ in range(1000):
        log.note("a head is too large")
    log.note("a body is too slow")
    assert lines == [
        "a head is too large (logged at most once a minute)",
        "a body is too slow (logged at most once a minute)",
    ]
    now_s[0] = 59.9
    log.say_rest()
    log.note("a head is too large")
    assert len(lines) == 2
    now_s[0] = 60.0
    log.note("a head is too large")
    assert lines[2:] == ["a head is too large (1001 times since the last line)"]
    now_s[0] = 1000.0
    log.say_rest()
    assert lines[3:] == []


def test_the_end_of_a_flood() -> None:
    """What nobody repeats is logged when its minute is over."""
    now_s, lines = [0.0], list[str]()
    log = RefusalLog(lines.append, 60.0, lambda: now_s[0])
    log.note("a head is too large")
    log.note("a head is too large")
    now_s[0] = 61.0
    log.say_rest()
    log.say_rest()
    assert lines == [
        "a head is too large (logged at most once a minute)",
        "a head is too large (1 times since the last line)",
    ]
