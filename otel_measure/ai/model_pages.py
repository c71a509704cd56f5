"""A page of models: only those on it are judged, since a snapshot takes a tenth of a millisecond, and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from otel_measure.ai.kept_models import MAX_KEPT
from otel_measure.ai.latency import Latency, latency
from otel_measure.ai.reports import Cost, Errors, ModelQuality, Models, Snapshot, cost, errors, summary
from otel_measure.definitions.columns import Column, columns_of
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.pages import Page, matches, ordered
from otel_measure.definitions.windows import TimeSpan
from otel_measure.store.types.models import Model, ModelKey

SEARCHED: Final = ("model_name", "model_version", "model_type")
# What is told without judging a model: these columns, and those below these parts.
_PLAIN: Final = (*SEARCHED, "inference_count")
_PARTS: Final = ("latency", "cost", "errors")
_OF_MODEL: Final = (Column("name"), Column("version"), Column("type"))


class KnownModels(NamedTuple):
    """What is known of all models at one moment; `uses` has those that were called in the window."""

    models: Sequence[Model]
    uses: Sequence[ModelUse]
    qualities: Mapping[ModelKey, ModelQuality]
    span: TimeSpan


class _Sketch:
    """What a snapshot says of a model without judging it, each part made when it is asked for."""

    def __init__(self, model: Model, use: ModelUse, span: TimeSpan) -> None:
        self.model = model
        self.model_name, self.model_version, self.model_type = model.name, model.version, model.type
        self.inference_count = use.requests
        self._use, self._span = use, span

    @property
    def latency(self) -> Latency:
        """How long its calls took."""
        return latency(self._use, self._span)

    @property
    def cost(self) -> Cost:
        """What its calls cost."""
        return cost(self._use, self._span)

    @property
    def errors(self) -> Errors:
        """How its calls failed."""
        return errors(self._use)


def page_of_models(
    known: KnownModels, page: Page, judged: Callable[[Sequence[Model]], Sequence[Snapshot]]
) -> tuple[Models, int, int]:
    """Return a page of models with what all did together, how many there are, and how many hold the words of `q`.

    Args:
        known: all of them.
        page: what is asked for.
        judged: makes snapshots of some of them, in their order.

    Raises:
        ValueError: to sort as is asked, too many models would have to be judged.
    """
    matching = matches(known.models, page.q, _OF_MODEL)
    whole = summary(known.uses, known.span)
    snapshots = tuple(_chosen(matching, known, page, judged))
    models = Models(snapshots, whole, len(known.models), whole.inference_count, known.span.window)
    return models, len(known.models), len(matching)


def _chosen(
    matching: Sequence[Model], known: KnownModels, page: Page, judged: Callable[[Sequence[Model]], Sequence[Snapshot]]
) -> Sequence[Snapshot]:
    this_page = slice(page.offset, page.offset + page.limit)
    if not page.sort:
        return judged(matching[this_page])
    column = next(column for column in columns_of(Snapshot) if column.name == page.column)
    is_descending = page.sort.startswith("-")
    if column.name.split(".")[0] in (*_PLAIN, *_PARTS):
        uses = {(use.model, use.version): use for use in known.uses}
        sketches = [_sketch(model, uses, known.span) for model in matching]
        return judged([sketch.model for sketch in ordered(sketches, column.rank, is_descending)[this_page]])
    if len(matching) > MAX_KEPT:
        raise ValueError(
            f"sort={page.sort!r} would have {len(matching):,} models judged, and {MAX_KEPT:,} are the most: "
            f"name fewer by q, or sort by {', '.join(_PLAIN)} or what is below {', '.join(_PARTS)}"
        )
    return ordered(judged(matching), column.rank, is_descending)[this_page]


def _sketch(model: Model, uses: Mapping[ModelKey, ModelUse], span: TimeSpan) -> _Sketch:
    key = (model.name, model.version)
    return _Sketch(model, uses.get(key) or ModelUse(*key), span)
