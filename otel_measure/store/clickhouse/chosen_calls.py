"""Which calls of models a question is about, as SQL: of an environment and a time, of some models or a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.ranks import in_batches_until
from otel_measure.store.clickhouse.times import TIMES_ASKED, times_asked
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ALL_MODELS, ModelChoice, ModelKey

US: Final = "toUnixTimestamp64Micro(ts)"


class ChosenCalls(NamedTuple):
    """Calls, as a part of a query.

    Attributes:
        source: what follows the columns of a query, with conditions, to which others may be joined by AND.
        parameters: of it, by their names.
    """

    source: str
    parameters: Mapping[str, Any]

    def that(self, condition: str) -> ChosenCalls:
        """Return those of the calls for which a condition holds."""
        return self._replace(source=f"{self.source} AND {condition}")

    def with_parameters(self, **more: Any) -> ChosenCalls:
        """Return the same with more parameters, for its conditions or what stands before it."""
        return self._replace(parameters={**self.parameters, **more})


class CallTable:
    """The calls of a store that answers of one moment are about.

    Args:
        definitions: by whose days the calls lie in partitions.
        where: whose calls they are; it names an environment.
        final_calls: the last batch of calls that others told of which is here and not in the small state.
    """

    def __init__(self, definitions: Definitions, where: Filter, final_calls: int) -> None:
        self._definitions = definitions
        self._where = where
        self._final_calls = final_calls

    @property
    def environment(self) -> str:
        """The one that answers are about."""
        return self._where.environment or UNNAMED

    def of_all_services(self) -> CallTable:
        """Return the calls of the environment, of whichever service."""
        return CallTable(self._definitions, Filter(None, self.environment), self._final_calls)

    def chosen(self, start: int, end: int, only: ModelChoice | ModelKey | None = None) -> ChosenCalls:
        """Return the calls of [start, end), microseconds, of all models or some."""
        name, version = only or ALL_MODELS
        wanted = {
            "environment": self.environment, "service": self._where.service, "model": name, "version": version,
        }  # fmt: skip
        given = {column: value for column, value in wanted.items() if value is not None}
        conditions = "".join(f" AND {column} = {{{column}:String}}" for column in given)
        return ChosenCalls(
            f"FROM {{db}}.inference FINAL WHERE {TIMES_ASKED}{conditions} AND {in_batches_until(self._final_calls)}",
            {**given, **times_asked(self._definitions, start, end)},
        )


def whole_sum(column: str, of: str = "") -> str:
    """Return the sum of whole numbers, 0 of none: of 64 bits, a sum would begin again at 0 without a word.

    Args:
        column: that is added up.
        of: the condition that a row is added; all are when not given.
    """
    whole = f"toInt128(ifNull({column}, 0))"
    return f"sumIf({whole}, {of})" if of else f"sum({whole})"


def cell_start(length_us: int | str) -> str:
    """Return when the cell begins that a call lies in, microseconds, of cells of a length."""
    return f"{US} - positiveModulo({US}, {length_us})"
