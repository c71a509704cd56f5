"""What sets something of experiments, now or when the store is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Final, Self

import msgspec

from otel_measure.deferred import Command
from otel_measure.errors import Conflict, NotFound
from otel_measure.store.protocol import Store
from otel_measure.store.types.experiments import Experiment

# Why a part of a definition stays as it is.
_STAYS: Final[Mapping[str, str]] = {
    "weights": "other weights would move users between the variants of a test that runs",
    "coverage": "coverage may be raised and not lowered, for who takes part goes on doing so",
}


def defined(store: Store, key: str) -> Experiment | None:
    """Return what a test is now, `None` for one that does not exist."""
    with store.asking() as moment:
        return next(iter(moment.experiments.experiments(key)), None)


def check_variant(experiment: Experiment, served: str) -> None:
    """Refuse a winner that is no variant of its test."""
    if served not in experiment.variants:
        raise ValueError(f"winner must be one of the variants {list(experiment.variants)}, not {served!r}")


def check_same(kept: Experiment, wanted: Experiment) -> None:
    """Raise `Conflict` where a test is another one than was wanted."""
    if kept != wanted:
        raise Conflict(_difference(kept, wanted))


def _difference(kept: Experiment, wanted: Experiment) -> str:
    names = [f.name for f in fields(Experiment) if f.compare and getattr(kept, f.name) != getattr(wanted, f.name)]
    parts = [f"{name} is {getattr(kept, name)!r} there and {getattr(wanted, name)!r} here" for name in names]
    why = "".join(f"{_STAYS[name]}; " for name in names if name in _STAYS)
    return f"test {kept.key!r} exists with another definition: {'; '.join(parts)}; {why}give another key=..."


class CreateTestCommand(Command[Experiment], frozen=True):
    """Creates a test, finds the same one again, or raises its coverage."""

    call: ClassVar[str] = "create_ab_test"
    wanted: Experiment

    def apply(self, store: Store) -> Experiment:
        """Create it; return what is kept, which is the same."""
        kept = defined(store, self.wanted.key)
        if kept != self.wanted:
            kept = store.define_experiment(self.wanted)
        check_same(kept, self.wanted)
        return kept


class StopTestCommand(Command[Experiment], frozen=True):
    """Stops a test at a time, microseconds; everybody gets one variant from then on.

    Attributes:
        is_late: somebody may have stopped it after that time, who decides then.
    """

    call: ClassVar[str] = "stop_ab_test"
    key: str
    served: str
    now: int
    is_late: bool = False

    def done_later(self, now: int) -> Self:
        """Leave it to whoever stopped the test since the call."""
        return msgspec.structs.replace(self, is_late=True)

    def apply(self, store: Store) -> Experiment:
        """Stop it; return what it is now."""
        experiment = defined(store, self.key)
        if experiment is None:
            raise NotFound("test", self.key)
        check_variant(experiment, self.served)
        if self.is_late and experiment.stopped is not None and experiment.stopped > self.now:
            if experiment.served != self.served:
                raise Conflict(f"test {self.key!r} was stopped later, with the winner {experiment.served!r}")
            return experiment
        return store.stop_experiment(self.key, self.served, self.now)


COMMANDS: Final[Sequence[type[Command[Any]]]] = (CreateTestCommand, StopTestCommand)
