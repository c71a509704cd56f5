"""What coding agents send, to a receiver that listens: as the README has their variables, and beside their metrics."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.testclient import TestClient

from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.records.kinds import Json
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.exporter.cli.command_line import serving
from tests.otlp.receive.test_agents import CLAUDE, CODEX, GEMINI
from tests.otlp.requests import CHAT, DELTA, NOW_US, SECOND_US, Metrics, log_request_of, span, span_request

ROOT = Path(__file__).parents[2]
SPENDING = "/api/v1/metrics/ai/spending"
PRICES = {"input_per_million_usd": 1.0, "output_per_million_usd": 10.0}
DEFAULT_ENDPOINT = "http://localhost:4318"  # where the exporters of OpenTelemetry send to by themselves


def readme_variables(agent: str) -> dict[str, str]:
    """Return the variables that the README exports for an agent, and those for all of them."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    exported = [line for line in lines if line.startswith("export ") and (f"# {agent}" in line or "RESOURCE" in line)]
    return dict(re.findall(r"([A-Z_]+)=(\S+)", " ".join(exported)))


def sent(base: str, signal: str, message: Message, *, as_json: bool) -> None:
    """Send a request as the exporter of an agent does."""
    body = json.dumps(MessageToDict(message)).encode() if as_json else message.SerializeToString()
    media = "application/json" if as_json else "application/x-protobuf"
    request = urllib.request.Request(f"{base}/v1/{signal}", body, {"content-type": media})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def as_of_now(attributes: Mapping[str, Json], resource: Mapping[str, Json], body: str) -> Message:
    """Return a record of an agent that says no time: it is of when it comes."""
    return log_request_of(attributes, body=body, ts=0, resource=resource)


def test_three_variables_to_the_first_dollar(tmp_path: Path) -> None:
    """What the README exports makes each agent send to what the README starts, and what they send is what they cost."""
    (command,) = re.findall(r"^otel-measure (serve --port \d+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    claude, gemini, copilot = (readme_variables(agent) for agent in ("claude", "gemini", "copilot"))
    for variables, endpoint in (
        (claude, claude.get("OTEL_EXPORTER_OTLP_ENDPOINT", DEFAULT_ENDPOINT)),
        (gemini, gemini["GEMINI_TELEMETRY_OTLP_ENDPOINT"]),
        (copilot, copilot["OTEL_EXPORTER_OTLP_ENDPOINT"]),
    ):
        assert len(variables) - 1 <= 3
        assert command == f"serve --port {urlsplit(endpoint).port}"
    assert (claude["CLAUDE_CODE_ENABLE_TELEMETRY"], claude["OTEL_LOGS_EXPORTER"]) == ("1", "otlp")
    assert claude["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert (gemini["GEMINI_TELEMETRY_ENABLED"], gemini["GEMINI_TELEMETRY_OTLP_PROTOCOL"]) == ("true", "http")
    assert copilot["COPILOT_OTEL_ENABLED"] == "true"
    pairs = (pair.split("=") for pair in claude["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    resource: dict[str, Json] = {"service.name": "claude-code", **dict(pairs)}
    gemini_call = GEMINI | {"user.email": "ann"}
    prices = json.dumps({"gemini-2.5-pro": PRICES})
    with serving(tmp_path, OTEL_MEASURE_PRICE_OVERRIDES=prices) as server:
        base = server.banner["url"].rstrip("/")
        sent(base, "logs", as_of_now(CLAUDE, resource, "claude_code.api_request"), as_json=False)
        sent(base, "logs", as_of_now(gemini_call, {**resource, "service.name": "gemini-cli"}, ""), as_json=True)
        with urllib.request.urlopen(f"{base}{SPENDING}?by=user,repository,model", timeout=60) as answer:
            report = json.load(answer)["data"]
    rows = [(row["by"], row["requests"], row["cost_usd"]) for row in report["rows"]]
    said = {"user": "ann", "repository": "shop"}
    assert rows == [
        ({**said, "model": "claude-sonnet-4-5"}, 1, 0.0412),
        ({**said, "model": "gemini-2.5-pro"}, 1, pytest.approx((1020 + 800) / 1e6)),
    ]
    assert report["total_usd"] == pytest.approx(0.0412 + 0.00182)
    tokens = ("input_tokens", "output_tokens", "cached_input_tokens", "priced_ratio")
    assert [tuple(row[name] for name in tokens) for row in report["rows"]] == [
        (21_512, 345, 20_000, 1.0), (1020, 80, 400, 1.0),
    ]  # fmt: skip
    assert (report["unattributed_usd"], report["unattributed_requests"]) == (0.0, 0)


# ---------------------------------------------------------------- beside their metrics


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime with prices of its own, ten seconds after what the agents tell."""
    overrides = dict.fromkeys(("gpt-5.1-codex", "gemini-2.5-pro", "gpt-4o"), PRICES)
    settings = Settings(store=str(tmp_path / "measure.db"), price_overrides=overrides)
    started = Runtime(settings, clock=Clock(moment(NOW_US + 10 * SECOND_US)))
    yield started
    started.shutdown()


def post(client: TestClient, signal: str, message: Message) -> None:
    """Send a request in protobuf."""
    headers = {"content-type": "application/x-protobuf"}
    assert client.post(f"/v1/{signal}", content=message.SerializeToString(), headers=headers).status_code == 200


RESOURCE: dict[str, Json] = {"service.name": "agent"}


def metrics_of_claude() -> Metrics:
    """Return what Claude Code's metrics say of the call that `CLAUDE` tells of."""
    found = Metrics(RESOURCE, "com.anthropic.claude_code")
    for kind, n in (("input", 12), ("output", 345), ("cacheRead", 20_000), ("cacheCreation", 1500)):
        found.counter("claude_code.token.usage", n, {"model": CLAUDE["model"], "type": kind}, temporality=DELTA)
    metric = found.raw()
    metric.name, metric.unit = "claude_code.cost.usage", "USD"
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = DELTA, True
    point = metric.sum.data_points.add(as_double=0.0412, time_unix_nano=NOW_US * 1000)
    point.start_time_unix_nano = (NOW_US - 60 * SECOND_US) * 1000
    said = point.attributes.add(key="model")
    said.value.string_value = str(CLAUDE["model"])
    return found


def use(client: TestClient, runtime: Runtime) -> tuple[object, ...]:
    """Return calls, tokens and cost of the one model, once metrics are compared with what events tell."""
    runtime.receiver.count_signals()
    (model,) = client.get("/api/v1/metrics/ai/models").json()["data"]["models"]
    cost = model["cost"]
    return cost["requests"], cost["input_tokens"], cost["output_tokens"], cost["total_usd"]


@pytest.mark.parametrize("order", ["event first", "metrics first", "event alone"])
def test_metrics_of_claude_code_beside_its_events_add_nothing(client: TestClient, runtime: Runtime, order: str) -> None:
    """In either order, and sent twice."""
    event = log_request_of(CLAUDE, body="claude_code.api_request", resource=RESOURCE)
    both: list[tuple[str, Message]] = [("logs", event), ("metrics", metrics_of_claude().request)]
    sending = {"event first": both, "metrics first": both[::-1], "event alone": both[:1]}[order]
    for signal, message in sending * 2:
        post(client, signal, message)
    assert use(client, runtime) == (1, 21_512, 345, pytest.approx(0.0412))


def test_metrics_of_claude_code_alone_have_the_totals(client: TestClient, runtime: Runtime) -> None:
    """Tokens and cost; of how many calls they are they do not say, nor of whom."""
    post(client, "metrics", metrics_of_claude().request)
    assert use(client, runtime) == (0, 21_512, 345, pytest.approx(0.0412))
    report = client.get(SPENDING).json()["data"]
    assert (report["rows"], report["unattributed_usd"]) == ([], pytest.approx(0.0412))


def test_metrics_of_gemini_beside_its_events_add_what_these_do_not_tell(client: TestClient, runtime: Runtime) -> None:
    """Of two calls, one of which an event tells of, the metrics make two."""
    post(client, "logs", log_request_of(GEMINI, resource=RESOURCE))
    found = Metrics(RESOURCE, "gemini-cli")
    model = {"model": GEMINI["model"]}
    for kind, n in (("input", 2000), ("tool", 20), ("output", 100), ("thought", 30), ("cache", 900)):
        found.counter("gemini_cli.token.usage", n, {**model, "type": kind})
    found.histogram("gemini_cli.api.request.latency", [0, 2, 0], 3000.0, model, bounds=(1000.0, 2000.0), unit="ms")
    post(client, "metrics", found.request)
    calls, read, written, _ = use(client, runtime)
    assert (calls, read, written) == (2, 2020, 130)


def test_a_call_of_codex_is_in_no_percentile(client: TestClient, runtime: Runtime) -> None:
    """Nobody says how long it took; tokens and cost count."""
    post(client, "logs", log_request_of(CODEX, resource=RESOURCE))
    (model,) = client.get("/api/v1/metrics/ai/models").json()["data"]["models"]
    assert (model["latency"]["sample_count"], model["latency"]["p50_ms"], model["inference_count"]) == (0, None, 1)
    assert use(client, runtime) == (1, 1000, 100, pytest.approx(2000 / 1e6))


def test_spans_of_copilot_are_its_calls(client: TestClient, runtime: Runtime) -> None:
    """Those of an agent and of tools around them are none, and premium requests are no dollars."""
    chat = {**CHAT, "gen_ai.provider.name": "github", "gen_ai.conversation.id": "c", "github.copilot.cost": 1.0}
    tokens: dict[str, Json] = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10}
    agent: dict[str, Json] = {**chat, **tokens, "gen_ai.operation.name": "invoke_agent"}
    resource: dict[str, Json] = {"service.name": "github-copilot", "enduser.id": "ann", "vcs.repository.name": "shop"}
    spans = (span(1, agent, took_us=2_000_000), span(2, {**chat, **tokens}, parent=1))
    post(client, "traces", span_request(*spans, resource=resource, scope="github.copilot"))
    assert use(client, runtime) == (1, 100, 10, pytest.approx(200 / 1e6))
    (row,) = client.get(f"{SPENDING}?by=repository,user").json()["data"]["rows"]
    assert (row["by"], row["cost_usd"]) == ({"repository": "shop", "user": "ann"}, pytest.approx(200 / 1e6))


def test_a_page_of_spending_says_how_long_the_list_is(client: TestClient, runtime: Runtime) -> None:
    """With the totals of all; as a table too."""
    for user, tokens in (("ann", 30), ("bob", 20), ("bea", 10)):
        runtime.ai.record_inference("m", "1", 5.0, tokens, cost_usd=tokens / 4, user_id=user)
    runtime.flush()
    whole = client.get(SPENDING).json()["data"]
    answer = client.get(f"{SPENDING}?limit=1&sort=input_tokens").json()
    assert answer["lists"] == {"rows": {"total": 3, "matched": 3}}
    assert answer["data"] == {**whole, "rows": whole["rows"][-1:]}
    table = client.get(f"{SPENDING}?q=B&offset=1", headers={"accept": "text/csv"})
    assert table.headers["x-total-count"] == "2"
    assert [line.split(",")[0] for line in table.text.splitlines()] == ["by.user", "bea"]


@pytest.mark.parametrize("by", ["", "user,user", "service", "user;repository"])
def test_spending_is_asked_by_what_there_is(client: TestClient, by: str) -> None:
    """Anything else is a 400 that says by what one may ask."""
    answer = client.get(SPENDING, params={"by": by})
    assert answer.status_code == 400
    assert "user, repository, model, version" in answer.json()["message"]
