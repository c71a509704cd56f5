"""What stays of a call of a model when its user is erased: the call is the model's fact as well."""

from __future__ import annotations

import msgspec

from otel_measure.records.kinds import Inference, Json


def without_user(inference: Inference) -> Inference:
    """Return a call without its user, session, groups and metadata; of its features numbers and booleans stay.

    A call that had features has them still, be it none of them, so that drift looks at as many records as before.
    """
    return msgspec.structs.replace(
        inference, user_id=None, session_id=None, groups=None, metadata=None, features=_numbers(inference.features)
    )


def _numbers(features: dict[str, Json] | None) -> dict[str, Json] | None:
    if features is None:
        return None
    return {name: value for name, value in features.items() if isinstance(value, int | float)}
