from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.components import requires_module

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "classifier.py"


def test_the_classifier_drifts_when_a_device_is_replaced(tmp_path: Path) -> None:
    """The example finds no drift as trained, and the one feature that a new device shifts."""
    requires_module("sklearn", "scikit-learn")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={"PYTHONPATH": str(EXAMPLE.parents[1]), "OTEL_MEASURE_STORE": str(tmp_path / "measure.db"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    trained, replaced = done.stdout.split("after the device was replaced:\n")
    assert trained.splitlines() == [
        "as trained:",
        "  accuracy 0.923 of 285 labelled predictions",
        "  no_drift, score 0.10; drifted: []",
        "  health 100/100",
    ]
    assert replaced.splitlines()[:3] == [
        "  accuracy 0.886 of 570 labelled predictions",
        "  severe_drift, score 0.30; drifted: ['mean radius']",
        "  health 74/100",
    ]
    assert "drifted: mean radius" in replaced.splitlines()[3]
