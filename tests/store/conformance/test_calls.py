"""Each call counts once, whoever tells of it: spans in spans, facts, responses told twice, and metrics beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest

from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import with_fields
from otel_measure.store.protocol import Store
from tests.facts import DAY, HOUR, MINUTE, NOON, SECOND
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase
from tests.store.conformance.telling import LEARN, counted, duration, shown, told, uses


@pytest.fixture
def store(engine: EngineCase) -> Store:
    """An empty store."""
    return engine.open()


def take(store: Store, *tellings: Telling) -> list[str]:
    """Give tellings to a store and return what became of each."""
    return list(store.take_tellings(tellings).outcomes)


def in_any_order(engine: EngineCase, tellings: Sequence[Telling]) -> set[str]:
    """Return what stores say of calls that are told of one telling at a time, in every order."""
    answers = set()
    for order in permutations(tellings):
        store = engine.open()
        for each in order:
            take(store, each)
        answers.add(repr(uses(store)))
        store.close()
    return answers


# ---------------------------------------------------------------- spans inside spans


def test_a_span_counts_at_once_and_once(store: Store) -> None:
    """Nothing waits; sent again it is a duplicate, also when it is no longer remembered as a span."""
    assert take(store, told(1)) == ["accepted"]
    assert counted(store) == (1, 0)
    assert take(store, told(1), told(1)) == ["duplicate", "duplicate"]
    store.sweep(NOON + 3 * HOUR)
    assert take(store, told(1)) == ["duplicate"]
    assert counted(store) == (1, 0)


def test_of_spans_inside_one_another_the_inner_one_is_the_call(engine: EngineCase) -> None:
    """However many plain spans lie between, and in whatever order they come; the outer one says for whom it was."""
    spans = [
        told(1, scope="framework", user_id="u", session_id="s", took_ms=3000, input_tokens=99, cost_usd=9.0),
        told(2, kind="plain", parent=1),
        told(3, kind="plain", parent=2),
        told(4, parent=3, began=NOON + SECOND),
    ]
    assert len(in_any_order(engine, spans)) == 1
    store = engine.open()
    assert take(store, *spans) == ["accepted", "span", "span", "same_call"]
    ((_, use),) = uses(store).items()
    assert (use.requests, use.input_tokens, use.cost_nano_usd) == (1, 10, 20_000_000)


def test_a_tool_between_makes_two_calls(store: Store) -> None:
    """A chat that calls a tool that embeds, and a chat that calls a tool that chats."""
    take(store, told(1), told(2, kind="other", parent=1, operation="execute_tool"))
    take(store, told(3, parent=2, operation="embeddings", model="e", response_model=None))
    take(store, told(4, parent=2))
    assert {key: use.requests for key, use in uses(store).items()} == {("e", "unversioned"): 1, ("m", "1"): 2}


def test_operations_of_other_kinds_are_calls_of_their_own(store: Store) -> None:
    """Embeddings inside a chat without a tool between are no attempt of the chat."""
    take(store, told(1), told(2, parent=1, operation="embeddings", model="e", response_model=None))
    assert counted(store) == (2, 0)


def test_each_attempt_of_a_retry_is_a_call(engine: EngineCase) -> None:
    """Tokens and cost of the span around both are of neither; its user is of both."""
    spans = [
        told(1, took_ms=5000, user_id="u"),
        told(2, parent=1, error_type="Timeout", input_tokens=None, output_tokens=None, cost_usd=None, cost_source=None),
        told(3, parent=1, began=NOON + 2 * SECOND),
    ]
    assert len(in_any_order(engine, spans)) == 1
    store = engine.open()
    take(store, *spans)
    (use,) = uses(store).values()
    assert (use.requests, use.errors, use.input_tokens, use.input_known, use.priced) == (2, 1, 10, 1, 1)


def test_a_sole_inner_call_learns_what_the_outer_one_knows(store: Store) -> None:
    """Tokens, cost and the answer's name, where it does not say them."""
    silent = told(
        2, parent=1, input_tokens=None, output_tokens=None, cost_usd=None, cost_source=None, response_model=None
    )
    take(store, silent)
    take(store, told(1, took_ms=2000))
    ((key, use),) = uses(store).items()
    assert (key, use.requests, use.input_tokens, use.output_tokens, use.cost_nano_usd) == (
        ("m", "1"),
        1,
        10,
        5,
        20_000_000,
    )


def test_a_client_and_its_gateway_are_one_call(engine: EngineCase) -> None:
    """It is the call of the service that asked, with the numbers of the one that made it."""
    spans = [
        told(1, service="shop", took_ms=1200, user_id="u"),
        told(2, kind="plain", parent=1, service="gateway", instance="g"),
        told(3, parent=2, service="gateway", instance="g", cost_usd=0.5),
    ]
    assert len(in_any_order(engine, spans)) == 1
    store = engine.open()
    take(store, *spans)
    assert counted(store) == (1, 0)
    with store.asking() as moment:
        (use,) = moment.models.model_use(NOON - DAY, NOON + DAY)
    assert (use.cost_nano_usd, shown(store)["otel_measure.ai.inferences"]) == (500_000_000, 1)


# ---------------------------------------------------------------- facts


def test_two_facts_in_one_span_are_two_calls(store: Store) -> None:
    """A plain span, such as that of a request, says nothing of the calls that were made in it."""
    take(store, told(9, kind="plain"), told(1, kind="fact", span=9), told(2, kind="fact", span=9))
    assert counted(store) == (2, 0)


def test_a_fact_and_the_span_in_its_block_are_one_call(engine: EngineCase) -> None:
    """Whether the span was the current one or lies inside the measured block: the call keeps the fact's id."""
    for span, parent in ((2, None), (9, 9)):
        tellings = [
            told(1, kind="fact", span=span, took_ms=1500, prediction="yes", input_tokens=None, output_tokens=None,
                 cost_usd=None, cost_source=None),
            told(2, parent=parent, began=NOON + 100_000),
        ]  # fmt: skip
        assert len(in_any_order(engine, tellings)) == 1
        store = engine.open()
        for each in reversed(tellings):
            take(store, each)
        (use,) = uses(store).values()
        assert (use.requests, use.input_tokens, use.cost_nano_usd) == (1, 10, 20_000_000)
        assert asked(store, lambda moment: moment.quality.model_of("fact 1")) == ("m", "1")
        store.close()


def test_a_span_of_another_model_in_a_measured_block_is_a_call_of_its_own(store: Store) -> None:
    """Their models are not tied."""
    take(store, told(1, kind="fact", span=9, took_ms=1500), told(2, parent=9, model="other", response_model="other-2"))
    assert counted(store) == (2, 0)


def test_a_fact_without_a_span_counts_by_itself(store: Store) -> None:
    """Each by its id."""
    facts = [told(n, kind="fact", trace=0) for n in range(3)]
    assert take(store, *facts, facts[0]) == ["accepted"] * 3 + ["duplicate"]
    assert counted(store) == (3, 0)


# ---------------------------------------------------------------- responses


def test_spans_side_by_side_that_say_one_response_are_one_call(engine: EngineCase) -> None:
    """Of two instrumentations; also in two traces."""
    spans = [told(1, scope="sdk", response="r"), told(2, trace=2, scope="other", response="r", began=NOON + 1000)]
    assert len(in_any_order(engine, spans)) == 1
    store = engine.open()
    take(store, *spans)
    assert counted(store) == (1, 0)


@pytest.mark.parametrize(
    "other",
    [
        told(2, scope="other", response="r", began=NOON + MINUTE),
        told(2, scope="other", response="r", input_tokens=11),
        told(2, scope="other", response="r", model="x", response_model="x-1"),
        told(2, scope="client", response="r"),
        told(2, scope="other", response="another"),
    ],
)
def test_what_tells_two_responses_apart(store: Store, other: Telling) -> None:
    """Another time, another count, another model, the same instrumentation twice, another id."""
    take(store, told(1, response="r"), other)
    assert counted(store) == (2, 0)


def test_a_thousand_calls_with_few_ids_of_responses_are_a_thousand(store: Store) -> None:
    """Some servers draw their ids from a thousand; calls that overlap may say the same."""
    calls = [told(n + 1, trace=n + 1, response=f"r{n * 7919 % 999}", began=NOON + n * 50_000) for n in range(1000)]
    for at in range(0, 1000, 100):
        take(store, *calls[at : at + 100])
    assert counted(store) == (1000, 0)


# ---------------------------------------------------------------- metrics beside them


def minute_of(spans: int, *, failed: int = 0, at: int = NOON) -> list[Telling]:
    """Return calls told by spans, each in a trace of its own; the first ones failed."""
    failure: dict[str, Any] = {"error_type": "Timeout", "response_model": None}
    return [
        told(1, trace=n + 1 + at // SECOND, began=at + n * SECOND, **(failure if n < failed else {}))
        for n in range(spans)
    ]


@pytest.mark.parametrize("metrics_first", [False, True])
def test_complete_spans_and_metrics_are_the_same_calls(store: Store, metrics_first: bool) -> None:
    """Whatever the interval of export, whichever comes first."""
    point = duration(20, NOON + MINUTE, after=NOON)
    if metrics_first:
        store.ingest([point], LEARN)
    take(store, *minute_of(20))
    if not metrics_first:
        store.ingest([point], LEARN)
    assert counted(store) == (20, 0)
    assert shown(store)["otel_measure.ai.inferences"] == 20


def test_sampled_spans_beside_metrics_give_the_count_of_the_metrics(store: Store) -> None:
    """Spans are known calls; the metrics tell of the rest."""
    take(store, *minute_of(2))
    store.ingest([duration(20, NOON + MINUTE, after=NOON)], LEARN)
    assert counted(store) == (20, 0)
    take(store, *minute_of(5))  # three more
    assert counted(store) == (20, 0)
    assert shown(store)["otel_measure.ai.inferences"] == 20


def test_tail_sampling_beside_metrics_of_successes_gives_the_true_counts(store: Store) -> None:
    """Every failure and a tenth of the rest come as spans; metrics hold no failures."""
    take(store, *minute_of(4, failed=3))
    store.ingest([duration(17, NOON + MINUTE, after=NOON, scope="opentelemetry.instrumentation.anthropic")], LEARN)
    assert counted(store) == (20, 3)


def test_failures_that_only_spans_tell_stay(store: Store) -> None:
    """Metrics of successes hide no failure, though they tell of fewer calls."""
    take(store, *minute_of(20, failed=5))
    store.ingest([duration(15, NOON + MINUTE, after=NOON)], LEARN)
    assert counted(store) == (20, 5)


def test_typed_failures_are_matched_by_failures(store: Store) -> None:
    """A series of failures and one of successes, with sampled spans of both."""
    take(store, *minute_of(4, failed=2))
    store.ingest([duration(15, NOON + MINUTE, after=NOON)], LEARN)
    store.ingest([duration(5, NOON + MINUTE, after=NOON, error_type="Timeout", answered=None)], LEARN)
    assert counted(store) == (20, 5)


def test_metrics_that_name_the_answer_only_are_those_of_the_name_asked_for(store: Store) -> None:
    """Names seen together in a process are tied."""
    take(store, *minute_of(3, at=NOON))
    store.ingest([duration(10, NOON + MINUTE, after=NOON, asked_for=None, answered="m-1")], LEARN)
    assert {key: use.requests for key, use in uses(store).items()} == {("m", "1"): 10}


def test_a_failure_counts_to_the_version_that_answered_nearest(store: Store) -> None:
    """An error rate belongs to the version that fails; where none answered it is unversioned."""
    failed = told(1, trace=7, began=NOON + 10 * SECOND, error_type="Timeout", response_model=None)
    take(store, failed)
    assert {key: use.errors for key, use in uses(store).items()} == {("m", "unversioned"): 1}
    take(
        store, told(1, trace=8, response_model="m-1"), told(1, trace=9, began=NOON + 12 * SECOND, response_model="m-2")
    )
    assert {key: (use.requests, use.errors) for key, use in uses(store).items()} == {
        ("m", "1"): (1, 0),
        ("m", "2"): (2, 1),
    }


def test_a_fact_keeps_the_version_that_it_says(store: Store) -> None:
    """Its caller knows it, and no answer's name is asked for."""
    fact = told(2, kind="fact", trace=0, response_model=None)
    assert fact.record is not None
    take(store, fact.of(with_fields(fact.record, version="mine")), told(1, trace=5))
    assert {key: use.requests for key, use in uses(store).items()} == {("m", "1"): 1, ("m", "mine"): 1}


def test_the_metrics_of_a_client_add_nothing_to_what_its_gateway_tells(store: Store) -> None:
    """Its own spans are sampled like the gateway's; the gateway's metrics tell of the rest."""
    for n in range(2):
        take(store, told(1, trace=n + 1, took_ms=1200, began=NOON + n * SECOND))
        take(store, told(2, trace=n + 1, parent=1, service="gateway", instance="g", began=NOON + n * SECOND))
    store.ingest([duration(20, NOON + MINUTE, after=NOON)], LEARN)
    store.ingest([duration(20, NOON + MINUTE, after=NOON, service="gateway", instance="g")], LEARN)
    assert counted(store) == (20, 0)


def test_two_scopes_of_one_process_tell_of_the_same_calls(store: Store) -> None:
    """The one that tells more counts; of another model both do."""
    store.ingest([duration(20, NOON + MINUTE, after=NOON), duration(19, NOON + MINUTE, after=NOON, scope="b")], LEARN)
    other = duration(3, NOON + MINUTE, after=NOON, scope="b", asked_for="x", answered="x-1")
    store.ingest([other], LEARN)
    assert {key: use.requests for key, use in uses(store).items()} == {("m", "1"): 20, ("x", "1"): 3}


def test_counters_never_fall_and_end_at_the_truth(store: Store) -> None:
    """What spans corrected is taken off what comes next."""
    seen = [0.0]
    for minute in range(4):
        at = NOON + minute * MINUTE
        store.ingest([duration(20, at + MINUTE, after=at)], LEARN)
        seen.append(shown(store)["otel_measure.ai.inferences"])
        take(store, *minute_of(20, at=at))
        take(store, told(90, trace=1 + at // SECOND, began=at - 1, took_ms=1500, scope="framework"))
        take(store, told(91, trace=99, parent=92), told(92, trace=99))
        counted(store)
        seen.append(shown(store)["otel_measure.ai.inferences"])
    assert seen == sorted(seen)
    calls, _ = counted(store)
    assert shown(store)["otel_measure.ai.inferences"] == calls


def test_what_is_settled_stays(store: Store) -> None:
    """After three hours nothing is compared any more, and every count stays as it is, also after a rebuild."""
    take(store, *minute_of(5, failed=1))
    store.ingest([duration(20, NOON + MINUTE, after=NOON)], LEARN)
    before = (counted(store), shown(store))
    store.sweep(NOON + 5 * HOUR)
    store.rebuild()
    assert (counted(store), shown(store)) == before


def test_an_erased_user_is_in_no_telling(store: Store) -> None:
    """A later word about the call does not bring the user back, nor does the call lose its numbers."""
    take(store, told(2, parent=1, user_id="u"))
    store.erase("u", NOON + MINUTE)
    take(store, told(1, took_ms=2000))
    assert counted(store) == (1, 0)
    assert store.erase("u", NOON + 2 * MINUTE).inferences == 0


def test_series_of_the_conventions_are_shown_of_spans_where_no_metrics_come(store: Store) -> None:
    """Two and a half minutes later: until then the process's own metrics may come, which show the same."""

    def durations(now: int) -> float:
        store.count_signals(LEARN, now)
        families = asked(store, lambda moment: moment.streams.families(NOON))
        return sum(s.count for f in families if f.name == "gen_ai.client.operation.duration" for s in f.samples)

    take(store, told(1), told(1, trace=2, instance="2"))
    assert durations(NOON + MINUTE) == 0
    store.ingest([duration(1, NOON + MINUTE, after=NOON)], LEARN)
    assert durations(NOON + 4 * MINUTE) == 1 + 1
    store.rebuild()
    assert durations(NOON + 4 * MINUTE) == 1 + 1


def test_a_rebuild_shows_no_series_that_are_not_shown_yet(store: Store) -> None:
    """What the process's own metrics may still show is in no series, whether it is counted anew or not."""
    take(store, told(1))
    before = asked(store, lambda moment: moment.streams.families(NOON))
    store.rebuild()
    assert asked(store, lambda moment: moment.streams.families(NOON)) == before
