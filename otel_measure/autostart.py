"""What `opentelemetry-instrument` calls when this package is installed: measuring starts without a line of code.

It takes part in the providers that were set up before, and never breaks the program: what is wrong is logged. With
`otel_measure` in `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` it does nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Final

NAME: Final = "otel_measure"
_log: Final = logging.getLogger(NAME)


def start(environ: Mapping[str, str] = os.environ) -> None:
    """Start measuring this process, with settings from the environment."""
    unwanted = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    if NAME in {name.strip() for name in unwanted.split(",")}:
        return
    try:
        from otel_measure.process import current

        runtime = current()
        runtime.create_tracing()
        runtime.keep_watch()
    except Exception as error:
        _log.warning("otel-measure does not measure this program: %s", error)
