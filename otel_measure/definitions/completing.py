"""What several tellings of one call know of it together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from otel_measure.conventions import model_names
from otel_measure.records.kinds import Inference, with_fields

# What a telling that stands around several calls says of all of them, and what it can only say of one.
OF_ALL: Final = ("user_id", "session_id", "repository")
_TOKENS: Final = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
_COST: Final = ("cost_usd", "cost_source", "cache_savings_usd")
OF_ONE: Final = (
    *_TOKENS,
    *("time_to_first_chunk_ms", "output_chunks"),
    *("response_model", "provider", "operation"),
)


def completed(record: Inference, other: Inference, fields: Iterable[str]) -> Inference:
    """Return a record with what it lacks and another one knows; tokens and their cost go together."""
    lacking = {f: value for f in fields if getattr(record, f) is None and (value := getattr(other, f)) is not None}
    if record.cost_usd is None and other.cost_usd is not None and "input_tokens" in fields:
        lacking |= {field: getattr(other, field) for field in _COST}
    if "response_model" in lacking:
        lacking["version"] = model_names.version_of(record.model, lacking["response_model"])
    return with_fields(record, **lacking) if lacking else record


def with_sums(record: Inference, inner: Sequence[Inference]) -> Inference:
    """Return a measured call with the tokens and the cost of the calls inside it, where it knows none itself."""
    sums: dict[str, object] = {}
    for field in _TOKENS:
        known = [value for each in inner if (value := getattr(each, field)) is not None]
        if getattr(record, field) is None and known:
            sums[field] = sum(known)
    costs = [each.cost_usd for each in inner if each.cost_usd is not None]
    if record.cost_usd is None and costs and len(costs) == len(inner):
        saved = [each.cache_savings_usd for each in inner if each.cache_savings_usd is not None]
        sums |= {"cost_usd": sum(costs), "cost_source": inner[0].cost_source}
        sums |= {"cache_savings_usd": sum(saved)} if saved else {}
    return with_fields(record, **sums) if sums else record
