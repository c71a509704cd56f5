"""A request to a fake provider and its answer; what a prompt says decides what happens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# A prompt with one of these words fails so.
FAILURES: Final = {"too many requests": 429, "break down": 500}
WORDS: Final = ("All", " is", " well.")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request: its body, what its path says, and the user whom a header names where the API has no field for one."""

    body: Mapping[str, Any]
    path: Mapping[str, str]
    user: str | None = None

    @property
    def text(self) -> str:
        """All that is asked, as JSON."""
        return json.dumps(self.body)

    @property
    def fails(self) -> int | None:
        """The status with which it fails."""
        return next((status for words, status in FAILURES.items() if words in self.text), None)

    @property
    def is_cached(self) -> bool:
        """Whether a part of the prompt is in the cache."""
        return "the long text" in self.text

    @property
    def is_written(self) -> bool:
        """Whether a part of the prompt goes into the cache."""
        return "the new text" in self.text

    @property
    def wants_tool(self) -> bool:
        """Whether the answer is the call of a tool: one is offered and has not been called."""
        return "weather" in self.text and '"tools"' in self.text and "sunny" not in self.text


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and an object or the pieces of a stream."""

    status: int
    body: dict[str, Any] | Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


def sse(events: Iterable[tuple[str | None, Mapping[str, Any] | str]]) -> Answer:
    """Return a stream of server-sent events."""
    pieces = [
        (f"event: {name}\n" if name else "") + f"data: {said if isinstance(said, str) else json.dumps(said)}\n\n"
        for name, said in events
    ]
    return Answer(200, [piece.encode() for piece in pieces], {"Content-Type": "text/event-stream"})
