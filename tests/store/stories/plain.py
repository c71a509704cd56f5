"""What a story comes to in plain Python: slow, obvious, with nothing of a store, the fourth that judges the others.

It knows what users do, who is who, erasures, and the calls that nobody but an application records (of model n).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from otel_measure.records.kinds import Inference, NpsResponse, Record, UserEvent
from otel_measure.store.types.models import ModelKey
from tests.facts import MINUTE
from tests.reference import ground, outcomes, users
from tests.reference.ground import Ev, Identify, NpsAnswer, Unlink
from tests.store.stories.drawn import ENVIRONMENT
from tests.store.stories.reports import CONVERSION, OWN_MODEL, questions
from tests.store.stories.story import Erased, Step, Story, ToldByOthers


@dataclass
class PlainStore:
    """What has been told so far.

    Attributes:
        linked: the user of each id that was identified as one.
        users: ids that were ever named as a user.
        facts: of users and models, by their kind and id: the first received of each.
        erased_at: when each id was erased that was.
        erased: kinds and ids of facts that were.
        told: ids of calls that others told of first.
    """

    linked: dict[str, str] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)
    facts: dict[tuple[type, str], Any] = field(default_factory=dict)
    erased_at: dict[str, int] = field(default_factory=dict)
    erased: set[tuple[type, str]] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    def tell(self, step: Step) -> None:
        """Take in a step of a story."""
        if isinstance(step, Identify):
            self.users.add(step.user)
            is_free = step.anon not in self.linked and step.anon not in self.users
            if is_free and self.person(step.anon) != self.person(step.user):
                self.linked[step.anon] = step.user
        elif isinstance(step, Unlink):
            self.linked.pop(step.anon, None)
        elif isinstance(step, Erased):
            self._erase(step)
        elif isinstance(step, list):
            for one in step:
                self._accept(one)
        elif isinstance(step, ToldByOthers) and step.method == "take_tellings":
            told = {each.record.id for each in step.told if each.record is not None}
            self.told |= {each for each in told if (Inference, each) not in self.facts}

    def person(self, user: str) -> str:
        """Return who an id is."""
        while user in self.linked:
            user = self.linked[user]
        return user

    def _erase(self, step: Erased) -> None:
        """Erase all ids of a person: what they did goes, and what the same ids do later is of somebody new."""
        everybody = {step.user, *self.linked, *self.linked.values()}
        gone = {each for each in everybody if self.person(each) == self.person(step.user)}
        of_them = {
            key for key, one in self.facts.items() if getattr(one, "user_id", None) in gone and key[0] is not Inference
        }
        self.erased |= of_them
        self.facts = {key: one for key, one in self.facts.items() if key not in of_them}
        self.linked = {each: user for each, user in self.linked.items() if each not in gone}
        self.users -= gone
        self.erased_at |= dict.fromkeys(gone, step.at)

    def _accept(self, one: Record) -> None:
        """Take in a fact, but for a replay of what was erased."""
        key, user = (type(one), one.id), getattr(one, "user_id", None)
        is_replay = user in self.erased_at and (one.ts <= self.erased_at[user] or key in self.erased)
        is_told = isinstance(one, Inference) and one.id in self.told
        if not is_told and (not is_replay or isinstance(one, Inference)):
            self.facts.setdefault(key, one)

    def did(self, service: str | None) -> Iterator[Ev | NpsAnswer]:
        """Yield what persons did and answered in the environment, in one service of it or all."""
        for one in self.facts.values():
            if one.origin.environment != ENVIRONMENT or service not in (None, one.origin.service):
                continue
            if isinstance(one, UserEvent):
                yield Ev(
                    self.person(one.user_id), one.id, one.ts, one.type, one.name, one.session_id, one.background,
                    one.value, one.currency, ENVIRONMENT,
                )  # fmt: skip
            elif isinstance(one, NpsResponse):
                yield NpsAnswer(self.person(one.user_id), one.survey, one.score, one.ts, one.id, ENVIRONMENT)

    def calls(self, key: ModelKey, start: int, end: int) -> list[Inference]:
        """Return the calls of a model in the environment in [start, end)."""
        return [
            one for one in self.facts.values()
            if isinstance(one, Inference) and (one.model, one.version) == key and start <= one.ts < end
            and one.origin.environment == ENVIRONMENT
        ]  # fmt: skip


class _AskedOfUsers(NamedTuple):
    """What a question about users is asked of, and about which days."""

    story: Story
    events: list[Ev]
    answers: list[NpsAnswer]

    def window(self, days: int) -> tuple[int, int]:
        """Return the last so many days up to the one that is asked about."""
        return ground.days_window(self.story.as_of, days, self.story.zone)

    @property
    def when(self) -> tuple[list[Ev], ZoneInfo, int, date]:
        """What most of the reference is asked with."""
        return self.events, self.story.zone, self.story.now, self.story.as_of


def judge(story: Story, answers: Mapping[str, bytes]) -> None:
    """Assert that reports about users, and sums of a model, say what plain Python does."""
    plain = PlainStore()
    for step in story.steps:
        plain.tell(step)
    data = {
        (question.method, question.given, question.named.get("service")): json.loads(answers[repr(question)])["data"]
        for question in questions(story)
        if question.service == "users" or question.method == "get_model_performance_snapshot"
    }
    everybody, of_service = (_asked(story, plain, service) for service in (None, story.service))
    summary = data["get_users_summary", (), story.service]
    for name, (method, given, expected) in _JUDGES.items():
        assert_is(data[method, given, None], expected(everybody))
        assert_is(summary[name], expected(of_service))
    assert_is(summary, users.totals(of_service.events))
    assert_is(*_model(plain, data["get_model_performance_snapshot", OWN_MODEL, None]))


def assert_is(found: Mapping[str, Any], expected: Mapping[str, object]) -> None:
    """Assert that a report says what is expected, ends of intervals up to rounding."""
    said = {name: _known(found[name]) for name in expected}
    about = {name: pytest.approx(value) for name, value in expected.items() if isinstance(value, tuple | float)}
    assert said == {**expected, **about}


def _known(value: object) -> object:
    """Return what JSON says as the reference has it: an interval as a pair, the unknown as `None`."""
    if isinstance(value, list) and len(value) == 2:
        return None if value[0] is None else tuple(value)
    return value


def _asked(story: Story, plain: PlainStore, service: str | None) -> _AskedOfUsers:
    done = [*plain.did(service)]
    return _AskedOfUsers(
        story, [one for one in done if isinstance(one, Ev)], [one for one in done if isinstance(one, NpsAnswer)]
    )


def _engagement(asked: _AskedOfUsers) -> Mapping[str, object]:
    return users.engagement(*asked.when, 30)


def _retention(asked: _AskedOfUsers) -> Mapping[str, object]:
    told: dict[str, object] = dict(users.churn_rate(*asked.when))
    for n in (1, 7, 30):
        of_day = users.headline_retention(*asked.when, n)
        told |= {f"day_{n}_retention": of_day["rate"], f"day_{n}_retention_n": of_day["n"]}
        told[f"day_{n}_retention_ci"] = of_day["ci"]
    return told


def _nps(asked: _AskedOfUsers) -> Mapping[str, object]:
    return outcomes.nps(asked.answers, *asked.window(90))


def _segments(asked: _AskedOfUsers) -> Mapping[str, object]:
    return users.segments(asked.events, asked.story.zone, asked.story.as_of)


def _conversion(asked: _AskedOfUsers) -> Mapping[str, object]:
    return outcomes.conversion(asked.events, *asked.window(30), CONVERSION)


_JUDGES: Final[Mapping[str, tuple[str, tuple[str, ...], Callable[[_AskedOfUsers], Mapping[str, object]]]]] = {
    "engagement": ("get_engagement_metrics", (), _engagement),
    "retention": ("get_retention_metrics", (), _retention),
    "nps": ("get_nps_metrics", (), _nps),
    "segments": ("segment_users", (), _segments),
    "conversion": ("get_conversion_metrics", (CONVERSION,), _conversion),
}


def _model(plain: PlainStore, snapshot: Mapping[str, Any]) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Return what is said of our own model, and what it is: calls, errors, tokens and money of the same window."""
    start, end = (ground.micros(snapshot["window"][edge]) for edge in ("start", "end"))
    calls = plain.calls(OWN_MODEL, start - start % MINUTE, end)  # calls are counted by the minute
    prices = [call.cost_usd for call in calls if call.cost_usd is not None]
    found = {**snapshot["cost"], "inference_count": snapshot["inference_count"], "errors": snapshot["errors"]["count"]}
    expected: dict[str, object] = {
        "inference_count": len(calls),
        "errors": sum(call.error_type is not None for call in calls),
        "requests": len(calls),
        "unpriced_requests": len(calls) - len(prices),
        "total_usd": sum(round(price * 1e9) for price in prices) / 1e9 if prices else None,
    }
    for tokens in ("input_tokens", "output_tokens"):
        said = [n for call in calls if (n := getattr(call, tokens)) is not None]
        expected[tokens] = sum(said) if said else None
    return found, expected
