"""Whatever clients say of their calls, in any order and repeated, a store counts what a ledger of them has."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.tellings import Telling
from tests.store.conformance.engines import EngineCase
from tests.store.conformance.ledger import (
    COUNTED_INSIDE,
    COUNTED_TYPED,
    SUCCESSES_ONLY,
    LedgerClient,
    calls_made,
    messages,
)
from tests.store.conformance.telling import LEARN, counted, shown

CLIENTS = st.builds(
    LedgerClient,
    spans=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    keeps_failures=st.booleans(),
    export_s=st.sampled_from([0, 1, 10, 60, 300]),
    failures=st.sampled_from([COUNTED_TYPED, COUNTED_INSIDE, SUCCESSES_ONLY]),
)


@given(CLIENTS, st.integers(0, 40), st.sampled_from([0.0, 0.05, 0.5]), st.randoms(use_true_random=False))
def test_any_order_gives_the_count_of_the_ledger(
    engine: EngineCase, client: LedgerClient, calls: int, failing: float, random: Random
) -> None:
    """Never more calls than there were, all of them where what is said suffices, whatever comes first or twice.

    The counter of `/metrics` never falls, and never shows more than there were.
    """
    made = calls_made(random, calls, failing)
    said = messages(client, made, random)
    again = [each for each in said if random.random() < 0.1]
    answers = []
    for _ in range(2):
        store, seen = engine.open(), [0.0]
        order = [*said, *again]
        random.shuffle(order)
        for each in order:
            if isinstance(each, Telling):
                store.take_tellings([each])
            else:
                store.ingest([each], LEARN)
            if random.random() < 0.2:
                counted(store)
                seen.append(shown(store).get("otel_measure.ai.inferences", 0.0))
        answers.append(counted(store))
        seen.append(shown(store).get("otel_measure.ai.inferences", 0.0))
        assert seen == sorted(seen)
        assert answers[-1][0] <= seen[-1] <= len(made)
        store.close()
    assert answers[0] == answers[1]
    count, failed = answers[0]
    assert count <= len(made)
    assert failed <= sum(call.failed for call in made)
    if client.tells_all:
        assert count == len(made)
