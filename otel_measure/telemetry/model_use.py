"""What models did, where there is no store: the calls of this process added up, of all its time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from otel_measure.conventions import semconv
from otel_measure.conventions.instruments import EXPOSED_ATTRIBUTE_SETS
from otel_measure.definitions.model_use import ModelUse, use_by_minute
from otel_measure.records.kinds import Inference, Record
from otel_measure.store.types.models import ModelKey


class ModelUses:
    """What each model did by this process; models beyond so many are one, as in the exposition."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[ModelKey, ModelUse] = {}

    def add(self, records: Sequence[Record]) -> None:
        """Add the calls among records."""
        parts = use_by_minute(record for record in records if isinstance(record, Inference))
        with self._lock:
            for part in parts.values():
                key = (part.model, part.version)
                if key not in self._uses and len(self._uses) >= EXPOSED_ATTRIBUTE_SETS:
                    key = (semconv.OTHER, semconv.OTHER)
                self._uses.setdefault(key, ModelUse(*key)).add(part)

    def uses(self, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did (or one), sorted by name and version."""
        with self._lock:
            return [_copied(self._uses[key]) for key in sorted(self._uses) if only is None or key == only]

    def after_fork_in_child(self) -> None:
        """Begin at nothing: what the parent counted is the parent's, and so is a lock that its thread holds."""
        self._lock = threading.Lock()
        self._uses = {}


def _copied(use: ModelUse) -> ModelUse:
    """Return a copy that stays as it is when calls are added."""
    copy = ModelUse(use.model, use.version)
    copy.add(use)
    return copy
