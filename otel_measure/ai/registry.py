"""Which models are known, and of which type, in every process that shares a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_measure.ai.commands import RegisterModelCommand
from otel_measure.deferred import AT_ONCE, Deferred
from otel_measure.errors import StoreError
from otel_measure.records.enums import ModelType
from otel_measure.store.model_questions import RecordedModels
from otel_measure.store.protocol import Store
from otel_measure.store.types.models import Model, ModelKey

REMEMBERED_S: Final = 30.0
MAX_REMEMBERED: Final = 10_000


class Registry:
    """Models by name and version.

    Args:
        store: keeps registrations; `None` keeps them in this process.
        monotonic: seconds; a type is looked up again after half a minute.
        deferred: keeps those for which the store is away.
    """

    def __init__(self, store: Store | None, monotonic: Callable[[], float], deferred: Deferred = AT_ONCE) -> None:
        self._store = store
        self._deferred = deferred
        self._monotonic = monotonic
        self._own: dict[ModelKey, Model] = {}
        self._types: dict[ModelKey, tuple[float, str]] = {}

    def register(self, model: Model) -> None:
        """Add a model, or replace what is known of it."""
        key = (model.name, model.version)
        if self._store is None:
            self._own[key] = model
        else:
            self._deferred.do(self._store, RegisterModelCommand(model), None)
        self._remember(key, model.type)

    def model(self, recorded: RecordedModels, key: ModelKey) -> Model | None:
        """Return a model; `None` for one that was neither registered nor recorded."""
        return self._own.get(key) or next(iter(recorded.models(key)), None)

    def models(self, recorded: RecordedModels) -> list[Model]:
        """Return every model that was registered or recorded, sorted by name and version."""
        if not self._own:
            return recorded.models()
        known = {(model.name, model.version): model for model in recorded.models()} | self._own
        return [known[key] for key in sorted(known)]

    def type_of(self, name: str, version: str) -> str:
        """Return the type a model was registered with, "other" for one nobody registered; remembered for a while."""
        key = (name, version)
        remembered = self._types.get(key)
        if remembered is not None and self._monotonic() < remembered[0]:
            return remembered[1]
        model = self._own.get(key)
        if model is None and self._store is not None:
            try:
                with self._store.asking() as moment:
                    model = next(iter(moment.models.models(key)), None)
            except StoreError:  # recording goes on; what the store does not say now it says later
                return remembered[1] if remembered is not None else ModelType.OTHER.value
        return self._remember(key, model.type if model is not None else ModelType.OTHER.value)

    def _remember(self, key: ModelKey, model_type: str) -> str:
        if len(self._types) >= MAX_REMEMBERED:
            self._types.clear()
        self._types[key] = (self._monotonic() + REMEMBERED_S, model_type)
        return model_type
