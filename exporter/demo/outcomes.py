"""What the demo's product learns: a classifier that drifts, answers to surveys, an experiment, a service that fails.

Plays beside `exporter.demo.workload`, through the public API as well. Assignments and services begin when the demo
does, since both count from the moment they are recorded.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_measure.ai.service import AiModelService
    from otel_measure.infrastructure.service import InfrastructureService
    from otel_measure.users.service import UserAnalyticsService

MODEL: Final = ("ticket-router", "2.1")
LABELS: Final = ("billing", "outage", "how_to")
SERVICES: Final = ("checkout-api", "search-api")
FAILING: Final = "search-api"
DRIFTS_AFTER: Final = 0.5  # of the past
RATES: Final = {"control": 0.12, "short_form": 0.26}
USERS: Final = 300

_SEED_OF_REFERENCE: Final = 7
_REFERENCE: Final = 1000
_BETWEEN_TICKETS: Final = timedelta(seconds=9)
_BETWEEN_ANSWERS: Final = timedelta(hours=3)
_ACCURACY: Final = {False: 0.97, True: 0.9}
_SCORES: Final = (10, 10, 9, 9, 9, 8, 7, 6, 3)
# The first outage comes soon enough to be looked at, the next ones every quarter of an hour.
_FIRST_OUTAGE: Final = timedelta(seconds=15)
_OUTAGE: Final = timedelta(seconds=12)
_BETWEEN_OUTAGES: Final = timedelta(minutes=15)


class Outcomes:
    """Tickets, answers, an experiment and outages from `start` on, played up to the time that is asked for.

    Args:
        ai: the model service.
        users: the user service.
        infrastructure: the infrastructure service.
        rng: the source of everything that varies.
        start: when the first survey is answered.
        tickets_from: when the first ticket is routed.
        begins: when the demo itself begins; the past lies before.
    """

    def __init__(
        self,
        ai: AiModelService,
        users: UserAnalyticsService,
        infrastructure: InfrastructureService,
        rng: random.Random,
        *,
        start: datetime,
        tickets_from: datetime,
        begins: datetime,
    ) -> None:
        self._ai = ai
        self._users = users
        self._infrastructure = infrastructure
        self._rng = rng
        self._next_answer = start
        self._next_ticket = tickets_from
        self._drifts_from = tickets_from + (begins - tickets_from) * DRIFTS_AFTER
        self._next_change = begins + _FIRST_OUTAGE
        self._is_down = False
        self._begin()

    def _begin(self) -> None:
        self._ai.register_model(*MODEL, "classification")
        clean = random.Random(_SEED_OF_REFERENCE)
        values = [_features(clean, drifted=False) for _ in range(_REFERENCE)]
        self._ai.set_drift_reference(
            *MODEL,
            predictions=[_label(clean) for _ in values],
            features={name: [one[name] for one in values] for name in values[0]},
        )
        for name in SERVICES:
            self._infrastructure.register_service(name)
        self._infrastructure.record_service_up(FAILING)  # an earlier demo may have ended in its outage
        self._test = self._users.create_ab_test("Shorter sign-up form", list(RATES))
        for number in range(USERS):
            self._expose(_user(number))

    def advance(self, until: datetime) -> None:
        """Play everything that happens before `until`."""
        while self._next_answer < until:
            self._users.record_nps_response(
                _user(self._rng.randrange(USERS)), self._rng.choice(_SCORES), timestamp=self._next_answer
            )
            self._next_answer += _BETWEEN_ANSWERS
        while self._next_ticket < until:
            self._route(self._next_ticket)
            self._next_ticket += _BETWEEN_TICKETS
        while self._next_change < until:
            self._change()

    def _expose(self, user: str) -> None:
        variant = self._users.assign_variant(self._test, user)
        if variant is not None and self._rng.random() < RATES[variant]:
            self._users.record_ab_conversion(self._test, user)

    def _route(self, at: datetime) -> None:
        drifted = at >= self._drifts_from
        truth = _label(self._rng)
        is_right = self._rng.random() < _ACCURACY[drifted]
        self._ai.record_inference(
            *MODEL,
            round(self._rng.lognormvariate(3.2, 0.3), 3),
            prediction=truth if is_right else LABELS[(LABELS.index(truth) + 1) % len(LABELS)],
            ground_truth=truth,
            features=_features(self._rng, drifted=drifted),
            timestamp=at,
        )

    def _change(self) -> None:
        if self._is_down:
            self._infrastructure.record_service_up(FAILING)
        else:
            self._infrastructure.record_service_down(FAILING, reason="connection refused")
        self._is_down = not self._is_down
        self._next_change += _OUTAGE if self._is_down else _BETWEEN_OUTAGES


def _user(number: int) -> str:
    return f"demo-user-{number:04d}"


def _label(rng: random.Random) -> str:
    return rng.choices(LABELS, (5, 2, 3))[0]


def _features(rng: random.Random, *, drifted: bool) -> dict[str, float | str]:
    """Return what a ticket looks like; later ones are longer, since a form asks for more."""
    return {
        "message_chars": round(rng.lognormvariate(5.6 if drifted else 5.0, 0.5)),
        "account_age_days": round(rng.expovariate(1 / 400)),
        "channel": rng.choices(("mail", "chat", "phone"), (6, 3, 1))[0],
    }
