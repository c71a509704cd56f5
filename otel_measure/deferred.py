"""What sets something in a store, and is kept on the host while the store is away, if the host has a spool.

A command is one such call. It is done at once where that is possible. Otherwise it waits in the spool, behind all that
was recorded and set before it, and is done by whoever has the store again, this process or the next one. To do a
command twice comes to the same, for who is killed between doing and forgetting it leaves it to the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, NoReturn, Protocol, Self, TypeVar

import msgspec

from otel_measure.errors import ConfigurationError, NotFound, StoreRejected, StoreUnavailable
from otel_measure.store.protocol import Store

T = TypeVar("T")
_log: Final = logging.getLogger("otel_measure")
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], tuple[str, msgspec.Raw]] = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw]).decode


class Command(msgspec.Struct, Generic[T], frozen=True):
    """Sets something in a store: all of it that is known at the call, the time included.

    Attributes:
        call: the name under which spools know the command, for as long as they hold any; that of the public call.
    """

    call: ClassVar[str]

    def apply(self, store: Store) -> T:
        """Do it, and return what becomes of it.

        Raises:
            StoreUnavailable: the store is away.
            StoreRejected, NotFound, ValueError: it is refused.
        """
        raise NotImplementedError

    def done_later(self, now: int) -> Self:
        """Return it as it is done when others have set things since the call.

        Args:
            now: when it is done, microseconds.
        """
        return self

    def refusal(self, answer: T) -> str | None:
        """Return why an answer says that nothing was set, of which nobody hears who has gone on meanwhile."""
        return None


class CommandSpool(Protocol):
    """Keeps commands on this host, in one order with what is recorded."""

    def keep(self, command: bytes) -> None:
        """Keep a command; raises `StoreUnavailable` where it cannot."""

    def must_wait(self) -> bool:
        """Tell whether a command must be kept: the store was away just now, or others wait before it."""


class Deferred:
    """Does commands, now or later.

    Args:
        kinds: every kind of command there is; the spool may hold those of an earlier process.
        spool: keeps those for which the store is away; without one who asks is told.
        now_us: the clock.
        fault: is told of a command that is refused when nobody waits for its answer any more.
    """

    def __init__(
        self,
        kinds: Iterable[type[Command[Any]]],
        spool: CommandSpool | None,
        now_us: Callable[[], int],
        fault: Callable[[str, str, Exception], None],
    ) -> None:
        self._decoders: Final[Mapping[str, Callable[[msgspec.Raw], Command[Any]]]] = {
            kind.call: msgspec.msgpack.Decoder(kind).decode for kind in kinds
        }
        self._spool = spool
        self._now_us = now_us
        self._fault = fault

    def do(self, store: Store, command: Command[T], meanwhile: T) -> T:
        """Do a command, or keep it where the store is away; it is on the disk then.

        Args:
            store: in which it sets something.
            command: does it.
            meanwhile: what is returned when it waits.

        Raises:
            StoreUnavailable: the store is away, and there is no spool, or no room in it.
            StoreRejected, NotFound, ValueError: it is refused.
        """
        if self._spool is None:
            return command.apply(store)
        if not self._spool.must_wait():
            try:
                return command.apply(store)
            except StoreUnavailable as error:
                _log.warning("%s, and what is set after it, waits for the store: %s", command.call, error)
        self._spool.keep(_encode((command.call, command)))
        return meanwhile

    def do_kept(self, store: Store, kept: bytes) -> None:
        """Do a command that was kept; what refuses it is told as a fault, `refused_` and its call.

        One that this version cannot read is refused as well: everything else of the host waits behind it.

        Raises:
            StoreUnavailable: the store is away still; it is tried again.
        """
        call = "command"
        error: Exception | None = None
        try:
            call, packed = _decode(kept)
            command = self._decoders.get(call, _refuse_unknown)(packed).done_later(self._now_us())
            refusal = command.refusal(command.apply(store))
            if refusal is not None:
                error = StoreRejected(refusal)
        except ConfigurationError:  # of this process, not of the command
            raise
        except (StoreRejected, NotFound, ValueError, TypeError, OverflowError, msgspec.MsgspecError) as refused:
            error = refused
        if error is not None:
            self._fault(f"refused_{call}", f"{call}, which waited for the store, was refused: {error}", error)


def _refuse_unknown(packed: msgspec.Raw) -> NoReturn:
    raise StoreRejected("this version knows no such call")


def _tell(what: str, message: str, error: Exception) -> None:
    raise error


AT_ONCE: Final = Deferred((), None, lambda: 0, _tell)
"""Has nothing wait."""
