"""The examples, run as a user would run them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.components import RunProcess, free_port, requires_module

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("classifier", "quick_start")
APPLICATIONS = ("shop",)


def test_every_example_is_run() -> None:
    """No file of `examples/` is left out here."""
    assert sorted(path.stem for path in (ROOT / "examples").glob("*.py")) == sorted((*PROGRAMS, *APPLICATIONS))


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_end_well(name: str, tmp_path: Path) -> None:
    """A program runs on an empty store, says what it found and leaves without a complaint."""
    if name == "classifier":
        requires_module("sklearn", "scikit-learn")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"examples.{name}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OTEL_MEASURE_STORE": str(tmp_path / "measure.db")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_the_shop_measures_itself(run_process: RunProcess, tmp_path: Path) -> None:
    """What its visitors do shows under /measure: models, users and the experiment on its page."""
    requires_module("fastapi")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = run_process(
        *(sys.executable, "-m", "uvicorn", "examples.shop:app", "--port", str(port), "--log-level", "warning"),
        OTEL_MEASURE_STORE=str(tmp_path / "measure.db"),
    )
    server.wait_http(f"{url}/docs", 60)

    def ask(path: str, method: str = "GET") -> Any:
        with urllib.request.urlopen(urllib.request.Request(f"{url}{path}", method=method), timeout=30) as answer:
            return json.loads(answer.read())

    variants = {user: ask(f"/recommend/{user}")["layout"] for user in range(20)}
    assert set(variants.values()) == {"list", "grid"}
    ask("/buy/7/lamp", "POST")
    base = "/measure/api/v1/metrics"
    assert ask(f"{base}/ai/models/recommender/3")["data"]["inference_count"] == 20
    assert ask(f"{base}/users/conversion?conversion_event=purchase")["data"]["converted_users"] == 1
    (test,) = ask(f"{base}/experiments")["data"]["experiments"]
    assert test["variant_users"] == {v: list(variants.values()).count(v) for v in ("list", "grid")}
    assert test["conversions"] == 1
