"""What sets something of models, now or when the store is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from otel_measure.ai.drift import columns, reference_of
from otel_measure.deferred import Command
from otel_measure.stats.cells import MIN_SAMPLES, Cells
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import Model, ModelKey
from otel_measure.store.types.quality import Reference

MAX_REFERENCE_RECORDS: Final = 10_000


class RegisterModelCommand(Command[None], frozen=True):
    """Says what a model is."""

    call: ClassVar[str] = "register_model"
    model: Model

    def apply(self, store: Store) -> None:
        """Add it, or replace what is known of it."""
        store.register_model(self.model)


class ReferenceCommand(Command[None], frozen=True):
    """Says what drift of a model is measured from: values that were given, as their cells.

    It is of one environment; `None` for the one that the store chooses.
    """

    call: ClassVar[str] = "set_drift_reference"
    model: ModelKey
    environment: str | None
    cells: Mapping[str, Cells]
    not_judged: Mapping[str, str]

    def apply(self, store: Store) -> None:
        """Keep it."""
        store.set_reference(self.model, Reference("given", self.cells, not_judged=self.not_judged), self.environment)


class WindowReferenceCommand(Command[None], frozen=True):
    """Says that drift is measured from what was recorded in [start, end), microseconds, which the call named so."""

    call: ClassVar[str] = "set_drift_reference_of_window"
    model: ModelKey
    environment: str | None
    window: str
    start: int
    end: int

    def apply(self, store: Store) -> None:
        """Freeze what is recorded there, and keep it."""
        with store.asking(Filter(environment=self.environment)) as moment:
            records = moment.quality.newest(self.model, self.start, self.end, MAX_REFERENCE_RECORDS)
        reference = reference_of("window", columns(records))
        store.set_reference(self.model, usable(reference, f"window={self.window!r}", len(records)), self.environment)


def usable(reference: Reference, what: str, records: int) -> Reference:
    """Return a reference with which something can be compared, and refuse another."""
    if reference.cells:
        return reference
    raise ValueError(
        f"{what} has {records} records and nothing to compare with: a prediction or feature needs {MIN_SAMPLES} values "
        "that fall into at least two cells"
    )


COMMANDS: Final[Sequence[type[Command[Any]]]] = (RegisterModelCommand, ReferenceCommand, WindowReferenceCommand)
