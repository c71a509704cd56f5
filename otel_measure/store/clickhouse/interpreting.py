"""What metrics of others mean, told once for all: whoever writes says it, and the log carries what was said.

The meaning depends on the prices of whoever interprets, so two processes could find another one for the same growth.
What there is to interpret is known only when it is counted. Whoever writes therefore first counts without keeping it
(`Replica.rehearse`), and notes what was asked and answered; everybody then counts with these answers. Where something
else came between, and other growth is asked about, there is none: it is kept, and the next turn counts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec

from otel_measure.conventions import instruments
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.measurements import Attributes, Measurement
from otel_measure.definitions.model_use import SUMS, ModelUse
from otel_measure.definitions.streams import Increment
from otel_measure.records.kinds import Origin
from otel_measure.stats.binned import Binned
from otel_measure.store.types.streams import Interpreted, Interpreter, NotInterpreted

_DIGEST_BYTES: Final = 16
_encode = msgspec.msgpack.Encoder().encode


class Meaning(msgspec.Struct, frozen=True, array_like=True):
    """What some growth means (`Interpreted`), as the log carries it."""

    ts: int
    origin: Origin
    model: str
    version: str
    counts: tuple[int, ...]
    sources: dict[str, int]
    sources_nano_usd: dict[str, int]
    binned: bytes
    sums: tuple[tuple[str, float, Attributes], ...]


Meanings: TypeAlias = Mapping[bytes, Meaning | None]
"""What growth means, by its digest; `None` where nobody can tell, for it is at fault."""


class Interpretation:
    """Interprets, and notes what it was asked and what it answered.

    Args:
        interpret: what knows the meaning of growth.
    """

    def __init__(self, interpret: Interpreter) -> None:
        self._interpret = interpret
        self.meanings: dict[bytes, Meaning | None] = {}

    def __call__(self, increments: Sequence[Increment]) -> list[Interpreted]:
        """Return what growth means."""
        digests = list(map(_digest, increments))
        self.meanings.update(dict.fromkeys(digests))
        interpreted = self._interpret(increments)
        self.meanings.update(zip(digests, map(_meaning, interpreted), strict=True))
        return interpreted


def interpreter_of(meanings: Meanings) -> Interpreter:
    """Return what tells the meaning of growth as it was noted.

    It raises `NotInterpreted` for growth that nobody was asked about, and ValueError for what is at fault.
    """

    def interpret(increments: Sequence[Increment]) -> list[Interpreted]:
        return [_noted(meanings, increment) for increment in increments]

    return interpret


def _noted(meanings: Meanings, increment: Increment) -> Interpreted:
    try:
        meaning = meanings[_digest(increment)]
    except KeyError:
        raise NotInterpreted from None
    if meaning is None:
        raise ValueError(f"nobody could tell what the growth of {increment.point.name} means")
    use = ModelUse(meaning.model, meaning.version)
    for column, n in zip(SUMS, meaning.counts, strict=True):
        setattr(use, column, n)
    use.sources, use.sources_nano_usd = dict(meaning.sources), dict(meaning.sources_nano_usd)
    use.binned = Binned.from_json(meaning.binned)
    sums = tuple(Measurement(instruments.BY_NAME[name], value, attributes) for name, value, attributes in meaning.sums)
    return Interpreted(meaning.ts, meaning.origin, use, sums)


def _meaning(interpreted: Interpreted) -> Meaning:
    use = interpreted.use
    return Meaning(
        interpreted.ts,
        interpreted.origin,
        use.model,
        use.version,
        tuple(min(getattr(use, name), LARGEST) for name in SUMS),
        use.sources,
        use.sources_nano_usd,
        (use.binned or Binned()).to_json(),
        tuple((instrument.name, value, attributes) for instrument, value, attributes in interpreted.sums),
    )


def _digest(increment: Increment) -> bytes:
    return blake2b(_encode(increment), digest_size=_DIGEST_BYTES).digest()
