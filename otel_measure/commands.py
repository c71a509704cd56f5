"""Every kind of command that a spool may hold: what sets something, by the domain that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from otel_measure.ai import commands as models
from otel_measure.deferred import Command
from otel_measure.experiments import commands as experiments
from otel_measure.infrastructure import commands as services
from otel_measure.users import commands as persons

COMMANDS: Final[Sequence[type[Command[Any]]]] = (
    *models.COMMANDS,
    *services.COMMANDS,
    *persons.COMMANDS,
    *experiments.COMMANDS,
)
