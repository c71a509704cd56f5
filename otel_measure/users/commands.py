"""What sets something of persons, now or when the store is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from otel_measure.deferred import Command
from otel_measure.store.protocol import Store
from otel_measure.store.types.users import Erasure, Link


class IdentifyCommand(Command[Link], frozen=True):
    """Says that an anonymous visitor is a user."""

    call: ClassVar[str] = "identify"
    anonymous_id: str
    user_id: str

    def apply(self, store: Store) -> Link:
        """Link them."""
        return store.identify(self.anonymous_id, self.user_id)

    def refusal(self, answer: Link) -> str | None:
        """Tell that the id is somebody else's; who goes on under it is them."""
        return "the anonymous id belongs to somebody else, or is a user" if answer == "refused" else None


class UnlinkCommand(Command[bool | None], frozen=True):
    """Takes back that an anonymous visitor is a user."""

    call: ClassVar[str] = "unlink"
    anonymous_id: str

    def apply(self, store: Store) -> bool:
        """Take it back; return whether there was a link."""
        return store.unlink(self.anonymous_id)


class DeleteUserCommand(Command[Erasure], frozen=True):
    """Erases a person, as of a time in microseconds."""

    call: ClassVar[str] = "delete_user"
    user_id: str
    now: int

    def apply(self, store: Store) -> Erasure:
        """Erase them; return the receipt."""
        return store.erase(self.user_id, self.now)


COMMANDS: Final[Sequence[type[Command[Any]]]] = (IdentifyCommand, UnlinkCommand, DeleteUserCommand)
