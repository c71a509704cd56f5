"""Requests made from the description of the API, by a tool that knows nothing else of it."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.components import Running, free_port, requires_module, running

pytestmark = pytest.mark.e2e
EXAMPLES: Final = 15  # of each operation
API: Final = "/api/v1/metrics"
# There is one of everything that a path can name, and all are called the same.
KNOWN: Final = "known"
SEEDS: Final = (
    ("ai/inferences/record", {"model_name": KNOWN, "model_version": KNOWN, "latency_ms": 1}),
    ("users/events/track", {"user_id": KNOWN, "event_type": "page_view", "event_name": "home"}),
    ("infrastructure/services/register", {"name": KNOWN}),
    ("experiments", {"test_name": KNOWN, "variants": ["a", "b"], "key": KNOWN}),
)
# A process id, names that stand in the query, two times in their order, and a receipt of something erased.
NOT_GUESSED: Final = {
    f"GET {API}/infrastructure/process",
    f"GET {API}/ai/models/detail",
    f"GET {API}/ai/compare",
    f"POST {API}/infrastructure/services/{{service}}/maintenance",
    f"GET {API}/erasures/{{receipt}}",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    """Run `otel-measure serve` on a store of its own."""
    folder, port = tmp_path_factory.mktemp("schemathesis"), free_port()
    args = [sys.executable, "-m", "exporter.cli", "serve", "--port", str(port), "--store", str(folder / "a.db")]
    with running(args, folder / "log.txt") as started:
        started.wait_http(f"http://127.0.0.1:{port}/readyz")
        yield started, f"http://127.0.0.1:{port}"


@pytest.mark.timeout(300)
def test_whatever_is_sent_the_server_does_not_fail(server: tuple[Running, str]) -> None:
    """Every operation of the description, asked rightly or wrongly, answers as described, and never with a 5xx."""
    schemathesis, requests = requires_module("schemathesis"), requires_module("requests")
    checks = requires_module("schemathesis.checks")
    as_described = [
        checks.response_schema_conformance,
        checks.status_code_conformance,
        checks.content_type_conformance,
    ]
    started, address = server
    statuses: defaultdict[str, set[int]] = defaultdict(set)
    with requests.Session() as session:
        session.trust_env = False

        def ask(case: Any) -> None:
            response = case.call(base_url=address, session=session, timeout=60)
            statuses[case.operation.label].add(response.status_code)
            assert response.status_code < 500, f"{response.status_code} to {case.as_curl_command()}"
            case.validate_response(response, checks=as_described)

        for path, body in SEEDS:
            seeded = session.post(f"{address}{API}/{path}", json=body, timeout=60)
            seeded.raise_for_status()
            statuses[f"POST {API}/{path}"].add(seeded.status_code)
        described = session.get(f"{address}/openapi.json", timeout=60).json()
        found = schemathesis.openapi.from_dict(described).get_all_operations()
        for operation in [one.ok() for one in found]:
            _for_examples(_cases(operation, schemathesis.GenerationMode), ask)
    assert set(statuses) == {
        f"{method.upper()} {path}" for path, methods in described["paths"].items() for method in methods
    }
    # The tool came past the doors, not only up to them.
    assert {label for label, seen in statuses.items() if not seen & {200, 201, 202}} <= NOT_GUESSED
    assert "Traceback" not in started.output()


def _cases(operation: Any, modes: Any) -> st.SearchStrategy[Any]:
    """Return right requests, wrong ones, and right ones to what exists."""
    named = dict.fromkeys(re.findall(r"\{(\w+)\}", operation.path), KNOWN)
    return st.one_of(
        operation.as_strategy(modes.POSITIVE, **({"path_parameters": named} if named else {})),
        operation.as_strategy(modes.POSITIVE),
        operation.as_strategy(modes.NEGATIVE),
    )


def _for_examples(cases: st.SearchStrategy[Any], ask: Callable[[Any], None]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def asked(case: Any) -> None:
        ask(case)

    asked()
