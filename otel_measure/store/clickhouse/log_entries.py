"""Operations as they stand in the log: every one of them, by its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from otel_measure.errors import StoreError, StoreRejected
from otel_measure.store.clickhouse import alert_operations, fact_operations, operations, upkeep_operations
from otel_measure.store.clickhouse.operation import Operation, OperationStruct

OPERATIONS: Final[tuple[type[OperationStruct], ...]] = (
    operations.SeeNames,
    operations.AcceptStates,
    operations.RegisterModel,
    operations.SetReference,
    operations.DefineExperiment,
    operations.StopExperiment,
    operations.RegisterService,
    operations.Beat,
    operations.EndWatch,
    operations.IdentifyUser,
    operations.UnlinkUser,
    operations.Ingest,
    operations.NoteSenders,
    operations.NoteArrivals,
    operations.NoteMachine,
    operations.TakeTellings,
    operations.CountSignals,
    alert_operations.TakeLease,
    alert_operations.KeepTime,
    alert_operations.TakeTerm,
    alert_operations.GiveUpTerm,
    alert_operations.WriteTurn,
    alert_operations.NoteLate,
    alert_operations.NoteDelivered,
    alert_operations.NoteFailed,
    alert_operations.AddSilence,
    alert_operations.EndSilence,
    fact_operations.NameSeries,
    fact_operations.ExpectToLeave,
    fact_operations.NoteToLeave,
    fact_operations.RemoveSent,
    upkeep_operations.Erase,
    upkeep_operations.NoteMasked,
    upkeep_operations.NoteCleared,
    upkeep_operations.BeginRemoval,
    upkeep_operations.EndRemoval,
    upkeep_operations.BeginFinalCalls,
    upkeep_operations.EndFinalCalls,
    upkeep_operations.SweepState,
    upkeep_operations.BeginRebuild,
    upkeep_operations.EndRebuild,
)

_any_operation: Any = reduce(or_, OPERATIONS)
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final[Callable[[bytes], Operation[object]]] = msgspec.msgpack.Decoder(_any_operation).decode


def encoded(operation: Operation[object]) -> bytes:
    """Return an operation as it stands in the log.

    Raises:
        StoreRejected: it carries what cannot be read again.
    """
    try:
        text = _encode(operation)
        _decode(text)
    except (msgspec.MsgspecError, ArithmeticError, TypeError, ValueError) as fault:
        raise StoreRejected(f"cannot be kept: {fault!r}") from fault
    return text


def decoded(text: bytes) -> Operation[object]:
    """Return the operation that stands in the log.

    Raises:
        StoreError: a newer version has written it.
    """
    try:
        return _decode(text)
    except msgspec.MsgspecError as fault:
        raise StoreError(f"the store was written by a newer version: {fault}; update otel-measure") from fault
