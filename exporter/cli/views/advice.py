"""Lines that change that there is nothing."""

from __future__ import annotations

import os
import shlex


def record_line(store: str, code: str) -> str:
    """Return the line of a shell that runs Python code, without double quotes, over a store."""
    return f'OTEL_MEASURE_STORE={shlex.quote(os.path.abspath(store))} python -c "{code}"'
