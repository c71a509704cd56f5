"""Rules that users add over a column of a series, in PromQL: the columns that `/metrics` tells as well, as a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NamedTuple

from exporter.promql.alerts import Condition, Operator, PromAlert
from exporter.promql.expressions import (
    ENVIRONMENT,
    HOST,
    MODEL,
    SERVICE,
    duration,
    increase,
    lower_bound,
    number,
)
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import DAY_S
from otel_measure.definitions.alerting.series_columns import COLUMNS, SEEN_SHARE

_CALLS: Final = "otel_measure_ai_inferences_total"
_DURATION: Final = "gen_ai_client_operation_duration_seconds"
_FIRST_CHUNK: Final = "gen_ai_client_operation_time_to_first_chunk_seconds"
_IS_FAILURE: Final = 'otel_measure_outcome!="ok"'
_IS_IDLE: Final = 'cpu_mode=~"idle|iowait"'
_OPERATORS: Final[Mapping[str, Operator]] = {"above": ">", "below": "<"}
_LABELS: Final[
    Mapping[str, tuple[str, str]]
] = {  # by the series: what tells subjects apart, and the label that names one
    "ai": (MODEL, "gen_ai_request_model"),
    "availability": (SERVICE, "otel_measure_service_name"),
    "infrastructure": (HOST, "host_name"),
    "users": (ENVIRONMENT, ENVIRONMENT),
}
_WINDOWS_OF_USERS: Final = {days * DAY_S: f"{days}d" for days in (1, 7, 28)}


class _Asked(NamedTuple):
    """In which window, and of whom.

    Attributes:
        by: labels that tell subjects apart.
        window_s: its length.
        only: matches the one subject that the rule is about; empty for each.
    """

    by: str
    window_s: int
    only: str

    @property
    def window(self) -> str:
        """Its length as PromQL writes it."""
        return duration(self.window_s)

    def series(self, name: str, *matchers: str) -> str:
        """Return a selector."""
        wanted = ",".join(filter(None, (self.only, *matchers)))
        return f"{name}{{{wanted}}}" if wanted else name

    def grew(self, name: str, *matchers: str) -> str:
        """Return how much counters grew."""
        return increase(self.series(name, *matchers), self.by, self.window)

    def changed(self, name: str, *matchers: str) -> str:
        """Return how much gauges rose, that fall when the past is corrected."""
        return f"sum by ({self.by}) (delta({self.series(name, *matchers)}[{self.window}]))"

    def per_second(self, name: str, *matchers: str) -> str:
        """Return how fast counters grew."""
        return f"sum by ({self.by}) (rate({self.series(name, *matchers)}[{self.window}]))"

    def over_time(self, how: str, name: str, *matchers: str) -> str:
        """Return the mean ("avg") or the largest ("max") of readings."""
        return f"max by ({self.by}) ({how}_over_time({self.series(name, *matchers)}[{self.window}]))"

    def quantile(self, share: float, histogram: str) -> str:
        """Return a quantile of a histogram."""
        buckets = f"sum by (le, {self.by}) (rate({self.series(f'{histogram}_bucket')}[{self.window}]))"
        return f"histogram_quantile({share}, {buckets})"


class _SaidColumn(NamedTuple):
    """A column in PromQL.

    Attributes:
        value: returns it; of a share, the part.
        evidence: returns on how much it rests; of a share it is the whole. `None` where it is not told.
        per_unit: how much of the unit of the column one is in `/metrics`: 1000 for ms of seconds.
    """

    value: Callable[[_Asked], str]
    evidence: Callable[[_Asked], str] | None = None
    per_unit: float = 1


def _calls(asked: _Asked) -> str:
    return asked.grew(_CALLS)


def _failed(asked: _Asked) -> str:
    return f"({asked.grew(_CALLS, _IS_FAILURE)} or 0 * {_calls(asked)})"


def _priced(asked: _Asked) -> str:
    return asked.grew(_CALLS, 'otel_measure_priced="true"')


def _cost(asked: _Asked) -> str:
    return asked.grew("otel_measure_ai_cost_usd_total")


def _timed(asked: _Asked) -> str:
    return asked.grew(f"{_DURATION}_count")


def _percentile(share: float, histogram: str) -> _SaidColumn:
    return _SaidColumn(
        lambda asked: asked.quantile(share, histogram), lambda asked: asked.grew(f"{histogram}_count"), 1000
    )


def _tokens(kind: str) -> _SaidColumn:
    of_kind = f'gen_ai_token_type="{kind}"'
    return _SaidColumn(lambda asked: asked.grew("otel_measure_ai_tokens_total", of_kind), _calls)


def _reading(name: str, *matchers: str, limit: str = "", per_unit: float = 1) -> dict[str, _SaidColumn]:
    """Return the mean and the largest of readings; in a container those of its limit."""

    def said(how: str) -> _SaidColumn:
        def value(asked: _Asked) -> str:
            of_limit = f"{asked.over_time(how, limit)} or " if limit else ""
            return of_limit + asked.over_time(how, name, *matchers)

        return _SaidColumn(value, per_unit=per_unit)

    return {"": said("avg"), "_max": said("max")}


def _cpu(asked: _Asked) -> str:
    cpu = "system_cpu_time_seconds_total"
    busy = f"1 - {asked.per_second(cpu, _IS_IDLE)} / {asked.per_second(cpu)}"
    return f"{asked.over_time('avg', 'otel_measure_container_cpu_limit_utilization_ratio')} or {busy}"


def _io(name: str, direction: str) -> _SaidColumn:
    return _SaidColumn(lambda asked: asked.per_second(name, direction))


def _state(asked: _Asked, states: str) -> str:
    return asked.changed("otel_measure_service_state_time_seconds", f'otel_measure_service_state=~"{states}"')


def _seconds(state: str, *, is_seen: bool = False) -> _SaidColumn:
    return _SaidColumn(lambda asked: _state(asked, state), _observed if is_seen else None)


def _observed(asked: _Asked) -> str:
    return _state(asked, "up|down")


def _active(asked: _Asked) -> str:
    return f"max by ({asked.by}) ({asked.series('otel_measure_users_active', _of_window(asked.window_s))})"


def _of_window(window_s: int) -> str:
    return f'otel_measure_window="{_WINDOWS_OF_USERS[window_s]}"'


_SAID: Final[Mapping[str, _SaidColumn]] = {
    "ai.requests": _SaidColumn(_calls, _calls),
    "ai.errors": _SaidColumn(_failed, _calls),
    "ai.error_rate": _SaidColumn(_failed, _calls),
    "ai.p50_ms": _percentile(0.5, _DURATION),
    "ai.p95_ms": _percentile(0.95, _DURATION),
    "ai.p99_ms": _percentile(0.99, _DURATION),
    "ai.mean_ms": _SaidColumn(lambda asked: f"{asked.grew(f'{_DURATION}_sum')} / {_timed(asked)}", _timed, 1000),
    "ai.first_chunk_p50_ms": _percentile(0.5, _FIRST_CHUNK),
    "ai.first_chunk_p95_ms": _percentile(0.95, _FIRST_CHUNK),
    "ai.input_tokens": _tokens("input"),
    "ai.output_tokens": _tokens("output"),
    "ai.cost_usd": _SaidColumn(_cost, _calls),
    "ai.cost_per_request_usd": _SaidColumn(lambda asked: f"{_cost(asked)} / {_priced(asked)}", _priced),
    "ai.priced_ratio": _SaidColumn(_priced, _calls),
    "users.active": _SaidColumn(_active),
    "infrastructure.cpu_percent": _SaidColumn(_cpu, per_unit=100),
    "availability.availability_percent": _SaidColumn(
        lambda asked: f"{_state(asked, 'up')} / {_observed(asked)}", _observed, 100
    ),
    "availability.uptime_seconds": _seconds("up", is_seen=True),
    "availability.downtime_seconds": _seconds("down"),
    "availability.unknown_seconds": _seconds("unknown"),
    "availability.maintenance_seconds": _seconds("maintenance"),
    "availability.incidents": _SaidColumn(lambda asked: asked.changed("otel_measure_service_incidents")),
    **{
        f"infrastructure.{column}{most}": said
        for column, readings in {
            "load_average_1m": _reading("otel_measure_system_load_average", 'otel_measure_load_average_period="1m"'),
            "memory_percent": _reading(
                "system_memory_utilization", 'system_memory_state="used"',
                limit="otel_measure_container_memory_limit_utilization_ratio", per_unit=100,
            ),
            "swap_percent": _reading("system_paging_utilization", 'system_paging_state="used"', per_unit=100),
            "disk_percent": _reading("system_filesystem_utilization", per_unit=100),
        }.items()
        for most, said in readings.items()
    },
    **{
        f"infrastructure.{column}_bytes_per_second": _io(name, direction)
        for column, name, direction in (
            ("disk_read", "system_disk_io_bytes_total", 'disk_io_direction="read"'),
            ("disk_write", "system_disk_io_bytes_total", 'disk_io_direction="write"'),
            ("network_sent", "system_network_io_bytes_total", 'network_io_direction="transmit"'),
            ("network_received", "system_network_io_bytes_total", 'network_io_direction="receive"'),
        )
    },
}  # fmt: skip


def own_alerts(in_force: Collection[AlertRule]) -> Iterator[PromAlert]:
    """Yield the alerts of the rules that users have added, of those that PromQL can say."""
    for rule in in_force:
        if rule.judge == "series" and not why_not_said(rule):
            by, label = _LABELS[rule.series.partition(".")[0]]
            only = f"{label}={json.dumps(rule.only, ensure_ascii=False)}" if rule.only else ""
            yield PromAlert(
                rule=rule.key,
                variant="",
                title=rule.title,
                severity=rule.severity,
                subject=label,
                conditions=tuple(_conditions(rule, _SAID[rule.series], _Asked(by, rule.window_s, only))),
                holds_s=rule.holds_s,
                clears_s=rule.clears_s,
                docs=rule.section,
            )


def why_not_said(rule: AlertRule) -> str:
    """Return why PromQL cannot say a rule that a user has added; empty where it can."""
    if rule.series == "users.active" and rule.window_s not in _WINDOWS_OF_USERS:
        return f"/metrics has active users of {', '.join(_WINDOWS_OF_USERS.values())} only"
    if rule.series not in _SAID:
        return f"/metrics has nothing that tells {rule.series} of a window"
    is_unknown = rule.min_evidence and _SAID[rule.series].evidence is None
    return f"/metrics does not tell on how much {rule.series} rests (min_evidence)" if is_unknown else ""


def _conditions(rule: AlertRule, said: _SaidColumn, asked: _Asked) -> Iterator[Condition]:
    """Yield what has to hold: of a share, that its whole 95 % interval lies beyond; and that it rests on enough."""
    column, beyond, bound = COLUMNS[rule.series], _OPERATORS[rule.side], number(rule.threshold / said.per_unit)
    value, whole = said.value(asked), "" if said.evidence is None else said.evidence(asked)
    yield Condition(f"{value} / {whole}" if column.is_share else value, beyond, bound)
    if column.is_share:
        low = lower_bound(value, whole)
        high = f"1 - {lower_bound(f'({whole} - {value})', whole)}"
        yield Condition(low if rule.side == "above" else high, beyond, bound)
    least = SEEN_SHARE * rule.window_s if column.is_seen else rule.min_evidence or column.least
    if whole and least:
        yield Condition(whole, ">=", number(least))
