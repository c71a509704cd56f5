"""Everything the quick start shows works on an empty system: its Python in one process, its curl lines on one server.

The quick start itself stands beside the repository, in `../shared/seed`; `examples/quick_start.py` and the table
`REQUESTS` are the project's own copy of it, and are compared with it where it is there.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import pytest

from tests.components import RunProcess, free_port

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
SEED = ROOT / ".." / "shared" / "seed" / "quick-start.md"
EXAMPLE = ROOT / "examples" / "quick_start.py"
API = "/api/v1/metrics"
PERCENT = r"(100(\.0+)?|\d{1,2}(\.\d+)?(e-\d+)?)%"

# What the program prints on an empty store; a busy machine adds its own three lines, which are left out.
PRINTED = (
    rf"CPU: {PERCENT}",
    rf"Memory: {PERCENT}",
    r"P95 Latency: 150\.5ms",
    r"DAU: 1, MAU: 1",
    r"Health Score: 100\.0/100",
    r"Recommendations:",
    r"Daily Active Users: 1",
    r"Conversion Rate: 0\.0%",
    r"Day 7 Retention: nan%",
    r"User 1 assigned to control",
    r"User 2 assigned to variant_a",
    r"User 3 assigned to control",
    r"User 4 assigned to control",
    r"User 5 assigned to control",
    r"Control Rate: 0\.25",
    r"Variant A Rate: 0\.0",
    rf"Availability: {PERCENT}",
    r"SLA Compliance: False",
)
CRITICAL = ("⚠️ System in critical state!", "CPU: ", "Memory: ")


class Request(NamedTuple):
    """One curl line."""

    method: str
    path: str
    body: dict[str, Any] | None = None


Answer: TypeAlias = tuple[int, str, str]  # status, content type, body

INFERENCE = {
    "model_name": "gpt-4",
    "model_version": "1.0",
    "latency_ms": 150.5,
    "input_tokens": 100,
    "output_tokens": 200,
    "cost_usd": 0.005,
}
MODEL = {"model_name": "gpt-4", "model_version": "1.0", "model_type": "nlp_generation"}
EVENT = {"user_id": 123, "event_type": "page_view", "event_name": "home_page", "page_url": "/home"}
EXPOSITION = Request("GET", f"{API}/infrastructure/prometheus")
REQUESTS = (
    Request("GET", f"{API}/infrastructure/summary"),
    Request("GET", f"{API}/infrastructure/cpu"),
    Request("GET", f"{API}/infrastructure/memory"),
    EXPOSITION,
    Request("GET", f"{API}/ai/models"),
    Request("GET", f"{API}/ai/models/gpt-4/1.0"),
    Request("POST", f"{API}/ai/models/register", MODEL),
    Request("POST", f"{API}/ai/inferences/record", INFERENCE),
    Request("GET", f"{API}/users/summary"),
    Request("GET", f"{API}/users/engagement"),
    Request("GET", f"{API}/users/conversion"),
    Request("GET", f"{API}/users/nps"),
    Request("POST", f"{API}/users/events/track", EVENT),
    Request("GET", f"{API}/dashboard"),
    EXPOSITION,
)


# ---------------------------------------------------------------- the quick start


def seed_blocks(language: str) -> list[str]:
    """Return the code blocks of one language, in order; the test is skipped where the quick start is absent."""
    if not SEED.is_file():
        pytest.skip("the quick start is not here: ../shared/seed is absent")
    return re.findall(rf"^```{language}\n(.*?)^```$", SEED.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def seed_program() -> str:
    """Return the Python blocks as one program, importing from this product."""
    return re.sub(
        r"^from app\.services\.\w+ import", "from otel_measure import", "\n".join(seed_blocks("python")), flags=re.M
    )


def seed_requests() -> Iterator[Request]:
    """Yield what each curl line asks for."""
    for block in seed_blocks("bash"):
        lines = block.replace("\\\n", " ")
        for command in re.findall(r"^curl (?:[^'\n]|'[^']*')*$", lines, re.MULTILINE):
            words = iter(shlex.split(command)[1:])
            method, body, path = "GET", None, ""
            for word in words:
                match word:
                    case "-X":
                        method = next(words)
                    case "-H":
                        assert next(words) == "Content-Type: application/json"
                    case "-d":
                        body = json.loads(next(words))
                    case url:
                        path = urlsplit(url).path
            yield Request(method, path, body)


def statements(source: str) -> list[str]:
    """Return a program's statements but for imports and the docstring, as they would be printed."""
    return [
        ast.unparse(one)
        for one in ast.parse(source).body
        if not isinstance(one, ast.Import | ast.ImportFrom)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
    ]


def test_example_is_the_quick_start() -> None:
    """`examples/quick_start.py` has the statements of the quick start's Python blocks, in order, and no others."""
    assert statements(EXAMPLE.read_text(encoding="utf-8")) == statements(seed_program())


def test_requests_are_those_of_the_quick_start() -> None:
    """The table of requests is what the quick start's curl lines ask for, in their order."""
    assert list(seed_requests()) == list(REQUESTS)


# ---------------------------------------------------------------- Python


def run_program(source: str, tmp_path: Path) -> list[str]:
    """Run a program in a process of its own on an empty store and return the lines it prints."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=tmp_path,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
            "OTEL_MEASURE_STORE": str(tmp_path / "measure.db"),
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stderr
    return finished.stdout.splitlines()


@pytest.mark.parametrize("origin", ["seed", "example"])
def test_python_blocks_print_the_true_numbers(origin: str, tmp_path: Path) -> None:
    """All Python blocks, in order in one process on an empty store, print what the table says, without a warning."""
    lines = run_program(seed_program() if origin == "seed" else EXAMPLE.read_text(encoding="utf-8"), tmp_path)
    if CRITICAL[0] in lines:
        at = lines.index(CRITICAL[0])
        assert [line.startswith(start) for line, start in zip(lines[at : at + 3], CRITICAL, strict=True)] == [True] * 3
        del lines[at : at + 3]
    assert len(lines) == len(PRINTED), lines
    assert [line for line, pattern in zip(lines, PRINTED, strict=True) if not re.fullmatch(pattern, line)] == []


# ---------------------------------------------------------------- HTTP


def send(base: str, request: Request) -> Answer:
    """Send a request and return its answer, whatever its status."""
    headers = {} if request.body is None else {"Content-Type": "application/json"}
    body = None if request.body is None else json.dumps(request.body).encode()
    asked = urllib.request.Request(base + request.path, body, headers, method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture
def base(run_process: RunProcess, tmp_path: Path) -> str:
    """Start a server on an empty store and return its URL."""
    port = free_port()
    server = run_process(
        *(sys.executable, "-m", "exporter.cli", "serve", "--port", str(port)),
        OTEL_MEASURE_STORE=str(tmp_path / "measure.db"),
    )
    server.wait_http(f"http://127.0.0.1:{port}/readyz", 30)
    return f"http://127.0.0.1:{port}"


def shape(answer: Answer) -> object:
    """Return the status of an answer and what its envelope says; of the exposition its content type."""
    status, content_type, body = answer
    if content_type.startswith("text/plain"):
        return status, content_type
    envelope = json.loads(body)
    return status, envelope["status"], sorted(envelope)


def expected(request: Request) -> object:
    """Return the shape that the first answer to a request must have."""
    if request is EXPOSITION:
        return 200, "text/plain; version=0.0.4; charset=utf-8"
    if request.path.endswith("/models/gpt-4/1.0"):
        return 404, "error", ["message", "status"]  # it stands before the POST that makes the model known
    return 201 if request.method == "POST" else 200, "success", ["data", "status"]


def test_curl_lines_answer_and_show_what_was_posted(base: str) -> None:
    """Each curl line, in order on an empty server, is a success; afterwards every GET shows what was posted."""
    answers = [(request, send(base, request)) for request in REQUESTS]
    assert [(request.path, shape(answer)) for request, answer in answers] == [
        (request.path, expected(request)) for request in REQUESTS
    ]

    def data(path: str) -> Any:
        return json.loads(send(base, Request("GET", API + path))[2])["data"]

    model = data("/ai/models/gpt-4/1.0")
    assert {key: model[key] for key in ("model_name", "model_version", "model_type", "inference_count")} == {
        "model_name": "gpt-4",
        "model_version": "1.0",
        "model_type": "nlp_generation",
        "inference_count": 1,
    }
    assert (model["latency"]["p95_ms"], model["latency"]["sample_count"]) == (150.5, 1)
    assert (model["cost"]["total_usd"], model["cost"]["input_tokens"], model["cost"]["output_tokens"]) == (
        0.005,
        100,
        200,
    )
    assert (model["errors"], model["health_score"], model["recommendations"]) == ({"count": 0, "rate": 0.0}, 100.0, [])

    models = data("/ai/models")
    assert (len(models["models"]), models["total_models"], models["total_inferences"]) == (1, 1, 1)

    engagement = data("/users/engagement")
    assert {key: engagement[key] for key in ("dau", "wau", "mau", "sessions", "return_rate", "provisional")} == {
        "dau": 1,
        "wau": 1,
        "mau": 1,
        "sessions": 1,
        "return_rate": None,
        "provisional": True,
    }
    conversion = data("/users/conversion")
    assert (conversion["entered_users"], conversion["converted_users"], conversion["conversion_rate"]) == (1, 0, 0.0)
    nps = data("/users/nps")
    assert (nps["responses"], nps["nps_score"]) == (0, None)
    users = data("/users/summary")
    assert (users["total_users"], users["total_events"], users["total_sessions"]) == (1, 1, 1)
    assert (users["engagement"]["dau"], users["segments"]["new"]) == (1, 1)

    dashboard = data("/dashboard")
    assert dashboard["ai"]["total_inferences"] == 1
    assert dashboard["users"]["total_events"] == 1
    assert dashboard["infrastructure"]["memory"]["total_bytes"] > 0

    exposition = send(base, EXPOSITION)[2]
    assert 'otel_measure_users_events_total{otel_measure_event_type="page_view"' in exposition
    assert total(exposition, "otel_measure_ai_inferences_total") == 1
    assert total(exposition, "otel_measure_users_events_total") == 1
    assert total(exposition, "otel_measure_ai_cost_usd_total") == 0.005


def total(exposition: str, metric: str) -> float:
    """Return the sum of a metric over its series."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in exposition.splitlines() if line.startswith(metric + "{"))
