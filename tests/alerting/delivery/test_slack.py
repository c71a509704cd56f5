from __future__ import annotations

from tests.alerting.evaluating import AlertServer
from tests.alerting.receiving import AWAY, TAKEN
from tests.definitions.alerting.judging import CHURN, MINUTE, judged

HOOK = "https://hooks.slack.com/services/s3cret"


def test_what_a_channel_reads() -> None:
    """The title, then a line per alert with its cause and what to do; what could be markup is escaped."""
    server = AlertServer(alert_slack=HOOK)
    odd = CHURN._replace(name="<!channel> & co")
    server.minute(judged("beyond", subject=odd), judged("beyond", "latency", odd))
    for _ in range(6):
        server.minute(judged("within", subject=odd), judged("within", "latency", odd))
    assert {request.url for request in server.log.requests} == {HOOK}
    name = "&lt;!channel&gt; &amp; co"
    assert server.log.taken() == [
        {
            "text": f":rotating_light: *page, firing*: Errors: model {name} (prod)\n"
            f"• errors of {name} is 0.9 (cause: timeout); what to do: http://page/#/rules/what-to-do\n"
            f"• latency of {name} is 0.9 (cause: timeout); what to do: http://page/#/rules/what-to-do"
        },
        {
            "text": f":white_check_mark: *page, resolved*: Errors: model {name} (prod)\n"
            f"• errors of {name} is 0.9 (cause: timeout) [within]\n"
            f"• latency of {name} is 0.9 (cause: timeout) [within]"
        },
    ]


def test_what_a_channel_reads_that_was_away() -> None:
    """How many it missed, what fires now and what it missed, at most twenty lines of each."""
    server = AlertServer(alert_slack=HOOK)
    server.log.reply = AWAY
    many = [judged("beyond", subject=CHURN._replace(name=f"m{n:02}")) for n in range(22)]
    server.minute(*many)
    server.log.requests.clear()
    server.log.reply = TAKEN
    server.now_us += 5 * MINUTE
    server.courier.deliver()
    (body,) = server.log.taken()
    lines = body["text"].split("\n")
    assert lines[0] == ":warning: 22 notifications were missed since 2026-01-15 12:01 UTC; 22 alerts fire now"
    assert lines[1] == "now: m00 • errors of m00 is 0.9 (cause: timeout); what to do: http://page/#/rules/what-to-do"
    assert lines[21] == "missed: firing, Errors: model m02 (prod)"
    assert (lines[-1], len(lines)) == ("and 4 more, in /alerts", 42)
