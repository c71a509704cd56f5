"""P9: `import otel_measure`."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.report import Row, best

_TIMED = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def rows(_: int) -> list[Row]:
    """Import in fresh interpreters."""
    modules = ("otel_measure", "otel_measure.runtime", "opentelemetry.sdk.metrics")
    ours, first_use, reference = (best(partial(_import_s, module), 5) * 1000 for module in modules)
    return [
        Row("P9", "import otel_measure", ours, reference, 1.3, "ms"),
        Row("–", "import otel_measure and first use (no budget)", first_use, reference, float("inf"), "ms"),
    ]


def _import_s(module: str) -> float:
    command = [sys.executable, "-c", _TIMED.format(module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
