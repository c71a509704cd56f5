"""`otel-measure alerts`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from otel_measure.alerting.delivery import receivers
from otel_measure.alerting.delivery.http import ReceiverReply
from otel_measure.definitions.alerting.judgement import AlertSubject
from otel_measure.store.sqlite import SqliteStore
from tests.alerting.evaluating import AlertServer
from tests.definitions.alerting.judging import MINUTE, judged
from tests.exporter.cli.command_line import run
from tests.exporter.cli.seeded import HOSTILE

HOOK = "http://127.0.0.1:9/s3cret"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store in which an alert fires and another one was resolved, a few minutes ago."""
    path = str(tmp_path / "measure.db")
    with closing(SqliteStore(path)) as opened:
        server = AlertServer(opened)
        server.now_us = time.time_ns() // 1000 - 20 * MINUTE
        server.minute(judged("beyond"), judged("beyond", "latency"))
        for _ in range(6):
            server.minute(judged("beyond"), judged("within", "latency"))
    return path


def test_what_stands_and_what_happened(store: str) -> None:
    """For people a line each, for machines the same as in `/alerts`."""
    lines = run("alerts", "list", "--store", store).output
    assert re.fullmatch(
        r"evaluated: .* UTC\n"
        r"active: 1\n"
        r"  firing page errors model/churn/prod since .*: .* is 0.9; webhook was told at .* that it is firing\n"
        r"recent: 3\n"
        r"  resolved \(within\) ticket latency model/churn/prod since .* until .*: .* is 0.9; webhook .*\n"
        r"  firing .*\n"
        r"  firing .*\n"
        r"silences: none\n",
        lines,
    )
    report = json.loads(run("alerts", "list", "--store", store, "--json").output)
    assert (len(report["active"]), len(report["recent"]), report["silences"]) == (1, 3, [])


def test_silences(store: str) -> None:
    """One is made with a reason and an end, listed, and ended."""
    made = run(
        *("alerts", "silence", "--store", store, "--subject", "churn", "--environment", "", "--for", "2h"),
        *("--reason", "a release"),
    )
    assert (made.exit_code, len(made.output.strip())) == (0, 12)
    id = made.output.strip()
    assert re.search(
        rf"silences: 1\n  {id} subject='churn' environment='' until .*: a release\n",
        run("alerts", "list", "--store", store).output,
    )
    assert run("alerts", "silence", "--store", store, "--end", id).output == f"ended {id}\n"
    again = run("alerts", "silence", "--store", store, "--end", id)
    assert (again.exit_code, again.output) == (exit_codes.WRONG, f"otel-measure: no silence named '{id}'\n")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--reason", "why"], "a silence needs a rule, a subject or an environment"),
        (["--rule", "errors"], "a silence needs a reason"),
        (["--rule", "errors", "--reason", "why", "--for", "soon"], "window must be"),
        (["--rule", "latency", "--reason", "why"], "there is no rule 'latency'; the rules are model_errors, "),
    ],
)
def test_a_silence_that_means_nothing(store: str, given: list[str], complaint: str) -> None:
    """The message says what is missing."""
    result = run("alerts", "silence", "--store", store, *given)
    assert (result.exit_code, complaint in result.output) == (exit_codes.USAGE, True), result.output


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Whoever mistypes a path is told so."""
    for command in (["list"], ["silence", "--rule", "errors", "--reason", "why"], ["silence", "--end", "x"]):
        result = run("alerts", *command, "--store", str(tmp_path / "no.db"))
        assert (result.exit_code, list(tmp_path.iterdir())) == (exit_codes.USAGE, [])
        assert "there is no store at" in result.output


def test_who_hears_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each receiver is tried; one that takes nothing makes the command fail, and no URL is shown."""

    def reply(url: str, body: bytes | None, headers: Mapping[str, str]) -> ReceiverReply:
        return ReceiverReply(200) if "am" in url else ReceiverReply(404, "refused (status 404)")

    monkeypatch.setattr(receivers.receivers_of, "__defaults__", (reply,))
    both = {"OTEL_MEASURE_ALERT_WEBHOOK": HOOK, "OTEL_MEASURE_ALERT_ALERTMANAGER": "http://am"}
    result = run("alerts", "test", env=both)
    assert (result.exit_code, result.output) == (
        exit_codes.WRONG,
        "webhook: refused (status 404)\nalertmanager: ok\notel-measure: not everybody can be told of alerts: webhook\n",
    )
    result = run("alerts", "test", "--json", env={"OTEL_MEASURE_ALERT_ALERTMANAGER": "http://am"})
    assert (result.exit_code, json.loads(result.output)) == (0, {"alertmanager": "ok"})
    result = run("alerts", "test")
    assert (result.exit_code, "nobody is told of alerts" in result.output) == (exit_codes.USAGE, True)


def test_hostile_names_are_harmless(tmp_path: Path) -> None:
    """What an alert tells of cannot move the cursor, for people and for machines."""
    path = str(tmp_path / "measure.db")
    with closing(SqliteStore(path)) as opened:
        server = AlertServer(opened)
        server.now_us = time.time_ns() // 1000 - MINUTE
        server.minute(judged("beyond", subject=AlertSubject("model", HOSTILE, "")))
    for args in ((), ("--json",)):
        output = run("alerts", "list", "--store", path, *args).output
        assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output) == []
        assert "owned" in output
