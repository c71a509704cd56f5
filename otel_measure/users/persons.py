"""What a person may ask of whoever measures: all that is stored of them, and to be forgotten."""

from __future__ import annotations

from collections.abc import Callable

from otel_measure.deferred import AT_ONCE, Deferred
from otel_measure.definitions.days import moment
from otel_measure.errors import NoStore, NotFound
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.store.protocol import Store
from otel_measure.store.types.exports import UserExport
from otel_measure.store.types.users import Erasure, ErasureState
from otel_measure.users.commands import DeleteUserCommand


class PersonCalls:
    """Passes the calls on to a store.

    Args:
        recorder: what it still has is stored before.
        store: answers; without one every call raises `NoStore`.
        now_us: the clock.
        deferred: keeps what is set while the store is away.
    """

    def __init__(
        self, recorder: Recorder, store: Store | None, now_us: Callable[[], int], deferred: Deferred = AT_ONCE
    ) -> None:
        self._recorder = recorder
        self._deferred = deferred
        self._store = store
        self._now_us = now_us

    def export_user(self, user_id: object) -> UserExport:
        """Return all that is stored of a user, under all ids: facts, links, what is rolled up of them, calls of models.

        Every fact is looked through: it takes a second for some 100 MB.

        Returns:
            What there is; of somebody unknown, nothing.

        Raises:
            ValueError: the id is none.
            NoStore: there is none that could have anything.
        """
        user = checks.stored_user_id("user_id", user_id)
        return self._settled_store("export_user").export(user)

    def delete_user(self, user_id: object) -> Erasure:
        """Erase a user under all ids: events, answers, assignments, and the user and texts of inferences.

        What was removed is overwritten; copies that the file and its log still hold are cleared within a minute, unless
        somebody reads for longer: `get_erasure` tells. A keyed hash stays, so that a replay of what was erased is
        dropped; what the same id does from now on is somebody new. Reports are as if the user had never been; running
        totals do not fall.

        With a spool, and while the store is away, the receipt says `pending`: the erasure is on the disk of this host,
        behind all that was recorded of the user here, and is done when the store is there. It is as of now: what comes
        of the user from before is dropped, wherever it waits. Who has to show what was removed calls again later.

        Returns:
            The receipt: what was removed.

        Raises:
            ValueError: the id is none.
            NoStore: there is none to erase from.
            StoreUnavailable: it is away, and the erasure is not kept on this host either.
        """
        user = checks.stored_user_id("user_id", user_id)
        store, now = self._settled_store("delete_user"), self._now_us()
        pending = Erasure(user, 0, moment(now), 0, 0, 0, 0, 0, 0, 0, pending=True)
        return self._deferred.do(store, DeleteUserCommand(user, now), pending)

    def get_erasure(self, receipt: int) -> ErasureState:
        """Return whether the bytes of an erased user are cleared.

        Args:
            receipt: of `delete_user`; one that is pending has none yet.

        Raises:
            NotFound: no erasure has this receipt.
            NoStore: there is none that could.
        """
        state = self._store_for("get_erasure").erasure(receipt)
        if state is None:
            raise NotFound("erasure", str(receipt))
        return state

    def _store_for(self, question: str) -> Store:
        if self._store is None:
            raise NoStore(question)
        return self._store

    def _settled_store(self, act: str) -> Store:
        """Return the store, which has what was recorded before where it can be had in time."""
        store = self._store_for(act)
        self._recorder.settle()
        return store
