"""The exit codes of the command line, and which of them an error becomes."""

from __future__ import annotations

from typing import Final

from exporter.cli import ports
from otel_measure.errors import ConfigurationError, MeasureError, StoreError

WRONG: Final = 1
USAGE: Final = 2
PORT: Final = 3
STORE: Final = 4
INTERRUPTED: Final = 130
_OF_ERRORS: Final[tuple[tuple[type[MeasureError], int], ...]] = (
    (ConfigurationError, USAGE),
    (ports.CannotListen, PORT),
    (StoreError, STORE),
    (MeasureError, WRONG),
)

HELP: Final = """\b
Exit codes:
  0  done; `serve` was stopped and everything is committed, `status` was ended
  1  something is wrong: `doctor` says what
  2  a wrong argument or setting
  3  the port cannot be listened on
  4  the store cannot be used
  130  ended by Ctrl-C before it was done
"""


def of_error(error: MeasureError) -> int:
    """Return the exit code of a command that ended with this error."""
    return next(code for kind, code in _OF_ERRORS if isinstance(error, kind))
