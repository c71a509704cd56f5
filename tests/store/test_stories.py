"""Stories reach what a store may meet, and SQLite reports of them what plain Python does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, pairwise
from typing import Final

from otel_measure.config import Settings
from otel_measure.definitions.days import moment
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import Inference, Record
from otel_measure.runtime import Runtime
from otel_measure.testing import Clock
from tests.facts import DAY
from tests.reference.ground import Identify, Unlink
from tests.store.stories.drawn import TEST
from tests.store.stories.plain import PlainStore, judge
from tests.store.stories.reports import reports
from tests.store.stories.seeded import story_of
from tests.store.stories.story import Did, Erased, Story, ToldByOthers, tell

_STORIES: Final = 12
_REACHED: Final = {
    "Inference", "UserEvent", "GroundTruth", "NpsResponse", "Exposure", "AbConversion", "ServiceState", "Maintenance",
    "EvaluationResult", "take_tellings", "ingest", "told by several", "told and recorded", "cumulative", "delta",
    "gauge", "began anew", "register_service", "beat", "end_watch", "register_model", "stop_experiment",
    "bring_up_to_date", "sweep",
    "again", "again at another time", "again on another day", "again by another user", "overlapping batches", "late",
    "linked", "refused", "unlinked", "erased", "replay of what was erased", "somebody new under an erased id",
}  # fmt: skip


def test_stories_reach_everything_and_are_reported_as_plain_python_says() -> None:
    """Every kind of fact, telling and value, each way in which a record comes again, links and erasures that matter."""
    reached = set[str]()
    for number in range(_STORIES):
        story = story_of(number)
        reached.update(_reached(story))
        runtime = Runtime(Settings(store=":memory:", timezone=story.zone_name), clock=Clock(moment(story.now)))
        try:
            assert runtime.store is not None
            runtime.store.define_experiment(TEST)
            for step in story.steps:
                tell(runtime.store, step)
            judge(story, reports(runtime, story))
        finally:
            runtime.shutdown()
    assert reached == _REACHED


def _reached(story: Story) -> Iterator[str]:
    plain, batches = PlainStore(), [step for step in story.steps if isinstance(step, list)]
    if any({one.id for one in earlier} & {one.id for one in later} for earlier, later in pairwise(batches[:-1])):
        yield "overlapping batches"
    yield from _told(
        [step for step in story.steps if isinstance(step, ToldByOthers)], {one.id for one in chain(*batches)}
    )
    for step in story.steps:
        linked, facts = dict(plain.linked), len(plain.facts)
        if isinstance(step, list):
            yield from _batch(plain, step)
            continue
        plain.tell(step)
        if isinstance(step, Identify) and plain.linked != linked:
            yield "linked"
        elif isinstance(step, Identify) and plain.person(step.anon) != plain.person(step.user):
            yield "refused"
        elif isinstance(step, Unlink) and plain.linked != linked:
            yield "unlinked"
        elif isinstance(step, Erased) and len(plain.facts) < facts:
            yield "erased"
        elif isinstance(step, Did):
            yield step.method


def _batch(plain: PlainStore, batch: Sequence[Record]) -> Iterator[str]:
    """Take in a batch, and yield what comes of each of its records."""
    for one in batch:
        key, user = (type(one), one.id), getattr(one, "user_id", None)
        first = plain.facts.get(key)
        if any(known.ts > one.ts + DAY for known in plain.facts.values()):
            yield "late"
        plain.tell([one])
        if first is None:
            yield type(one).__name__
            if user in plain.erased_at and type(one) is not Inference:
                yield "somebody new under an erased id" if key in plain.facts else "replay of what was erased"
            continue
        yield "again"
        if first.ts != one.ts:
            yield "again on another day" if abs(first.ts - one.ts) >= DAY else "again at another time"
        if getattr(first, "user_id", None) != user:
            yield "again by another user"


def _told(steps: Sequence[ToldByOthers], recorded: Collection[str]) -> Iterator[str]:
    responses, starts = defaultdict[object, set[str]](set), defaultdict[object, set[int]](set)
    for step in steps:
        yield step.method
        for each in step.told:
            if isinstance(each, Telling) and each.record is not None:
                responses[each.response_id].add(each.id)
                if each.record.id in recorded:
                    yield "told and recorded"
            elif isinstance(each, Point):
                yield "gauge" if each.kind == "gauge" else "delta" if each.delta else "cumulative"
                if each.kind != "gauge" and not each.delta:
                    starts[each.name, each.labels, each.instance].add(each.start)
    if any(len(ids) > 1 for ids in responses.values()):
        yield "told by several"
    if any(len(each) > 1 for each in starts.values()):
        yield "began anew"
