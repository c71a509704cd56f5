"""What a span says of a run of an agent or of the use of a tool."""

from __future__ import annotations

from typing import Final

import msgspec

from otel_measure.conventions.step_dialects import RUN_KINDS, StepKind
from otel_measure.records.kinds import Json, Origin

_canonical: Final = msgspec.json.Encoder(order="sorted").encode


class AgentStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run, or the use of a tool, as its span alone has it.

    Attributes:
        kind: see `RUN_KINDS`; all others are uses.
        name: of the agent, workflow or tool.
        origin: of its resource.
        error_type: `None` where it went well.
        user_id: for whom it was.
        arguments: of a use, in one spelling, `None` where nobody says; a store has their keyed hash in place of them.
    """

    kind: StepKind
    name: str
    origin: Origin
    error_type: str | None = None
    user_id: str | None = None
    arguments: str | None = None

    @property
    def is_run(self) -> bool:
        """Whether it has calls and uses of its own."""
        return self.kind in RUN_KINDS

    def is_alike(self, other: AgentStep) -> bool:
        """Tell whether two say the same of what they are: two runs, or two uses, of one name."""
        return self.name == other.name and (self.kind == other.kind or (self.is_run and other.is_run))


def one_spelling(arguments: Json) -> str:
    """Return the arguments of a tool as text: JSON, be it sent as text or not, with sorted keys and without spaces."""
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, RecursionError):
            return str(arguments).strip()
    return _canonical(arguments).decode()
