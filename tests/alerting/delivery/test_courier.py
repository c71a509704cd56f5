from __future__ import annotations

import logging

import pytest

from otel_measure.alerting.delivery.http import ReceiverReply
from tests.alerting.evaluating import AlertServer
from tests.alerting.receiving import AWAY, TAKEN
from tests.definitions.alerting.judging import API, CHURN, MINUTE, judged

SECOND = 1_000_000


def test_what_was_not_noted_as_sent_is_sent_again_under_its_id() -> None:
    """A process that was killed between the two sends once more; the receiver knows the id."""
    server = AlertServer()
    server.minute(judged("beyond"), sends=False)
    with server.store.asking() as moment:
        (waiting,) = moment.alerts.waiting("webhook")
    server.receivers.each_once[0].send(server.messages.notification(waiting.notification), server.now_us)
    server.courier.deliver()
    first, again = server.log.taken()
    assert first == again


def test_notifications_come_in_order_one_by_one() -> None:
    """While a receiver takes them, each is told by itself."""
    server = AlertServer()
    server.minute(judged("beyond", subject=API), judged("beyond", subject=CHURN))
    assert [body["subject"]["name"] for body in server.log.taken()] == ["churn", "api"]


def test_one_process_sends_at_a_time() -> None:
    """Who does not have the lease leaves what waits."""
    one = AlertServer(name="one")
    other = AlertServer(one.store, name="other")
    one.minute(judged("beyond", subject=API))
    one.minute(judged("beyond", subject=API), judged("beyond", subject=CHURN), sends=False)
    other.now_us = one.now_us
    assert other.courier.deliver() is False
    assert other.log.requests == []
    one.courier.give_up()
    other.courier.deliver()
    assert [body["subject"]["name"] for body in other.log.taken()] == ["churn"]


def test_a_receiver_that_fails_is_left_alone_for_longer_and_longer(caplog: pytest.LogCaptureFixture) -> None:
    """Waits double up to a minute; what is asked for by `Retry-After` is kept; it is said once, without the URL."""
    server = AlertServer()
    server.log.reply = AWAY
    with caplog.at_level(logging.WARNING, "otel_measure"):
        server.minute(judged("beyond"))
        waits, tries, began = [], 1, server.now_us
        while server.now_us < began + 200 * SECOND:
            server.now_us += SECOND
            server.courier.deliver()
            if len(server.log.requests) > tries:
                tries = len(server.log.requests)
                waits.append((server.now_us - began) // SECOND)
        assert waits == [1, 3, 7, 15, 31, 63, 123, 183]
        server.log.reply = ReceiverReply(429, "refused (status 429)", 300.0)
        server.now_us += MINUTE
        server.courier.deliver()
        server.now_us += 4 * MINUTE
        server.courier.deliver()
        assert len(server.log.requests) == tries + 1
        server.log.reply = TAKEN
        server.now_us += MINUTE
        server.courier.deliver()
        assert len(server.log.requests) == tries + 2
    assert [record.getMessage() for record in caplog.records] == [
        "the alert receiver webhook takes nothing: it cannot be reached (ConnectionError); 1 wait in the store and are"
        " sent again (logged once)",
        "the alert receiver webhook takes notifications again",
    ]


def test_a_wait_that_was_noted_before_the_clock_was_set_back_is_over() -> None:
    """What lies further ahead than any wait binds nobody."""
    server = AlertServer()
    server.log.reply = AWAY
    server.minute(judged("beyond"))
    server.log.reply = TAKEN
    server.now_us -= 60 * MINUTE
    server.courier.give_up()
    server.courier.deliver()
    assert len(server.log.requests) == 2


def test_what_was_given_up_is_told_with_the_summary() -> None:
    """A receiver that was away for longer than is kept for it hears how much it will never know."""
    server = AlertServer()
    server.log.reply = AWAY
    many = [judged("beyond", subject=CHURN._replace(name=f"m{n:04}")) for n in range(1010)]
    for judgements in (many[:1], many):
        server.minute(*judgements)
    server.log.taken()
    server.log.reply = TAKEN
    for _ in range(5):
        server.now_us += MINUTE
    server.courier.deliver()
    (summary,) = server.log.taken()
    missed = [one["subject"]["name"] for one in summary["missed"]]
    assert (summary["given_up"], len(missed), missed[0], missed[-1]) == (10, 1000, "m0010", "m1009")
