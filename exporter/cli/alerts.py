"""The commands `otel-measure alerts …`: how alerts stand, of which nobody is told, and whether receivers hear us."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

import click

from exporter.cli.opening import opened
from exporter.cli.options import json_option, load_settings, store_option
from exporter.cli.views.plain import plain, plain_json
from otel_measure.errors import ConfigurationError, MeasureError, NotFound

if TYPE_CHECKING:
    from otel_measure.alerting.deliveries import DeliveryMessage, ListedAlert
    from otel_measure.alerting.messages import Messages
    from otel_measure.alerting.report import SilenceMessage
    from otel_measure.config import Settings
    from otel_measure.definitions.alerting.rule import AlertRule

_MINUTE_US = 60_000_000


@click.group(short_help="Show alerts, silence them, try who is told.")
def alerts() -> None:
    """Show how alerts stand, keep some from being told, and try the receivers."""


@alerts.command("test", short_help="Send a test to every receiver.")
@json_option
def try_receivers(as_json: bool) -> None:
    """Send a message that says it is a test to every receiver of the settings (OTEL_MEASURE_ALERT_…), at once."""
    from otel_measure.alerting.delivery.receivers import receivers_of

    settings = load_settings({})
    trials = receivers_of(settings, _messages(settings)).trials
    if not trials:
        raise ConfigurationError(
            "nobody is told of alerts: set OTEL_MEASURE_ALERT_WEBHOOK, _SLACK, _ALERTMANAGER or _HEARTBEAT"
        )
    replies = {name: trial(_now_us()) for name, trial in trials.items()}
    if as_json:
        click.echo(json.dumps({name: reply.why or "ok" for name, reply in replies.items()}))
    else:
        for name, reply in replies.items():
            click.echo(plain(f"{name}: {reply.why or 'ok'}"))
    if failed := [name for name, reply in replies.items() if not reply.is_taken]:
        raise MeasureError(f"not everybody can be told of alerts: {', '.join(failed)}")


@alerts.command("list", short_help="Show what fires, what happened, and silences.")
@store_option
@json_option
def show(store: str | None, as_json: bool) -> None:
    """Show the alerts that fire or are pending, what happened in the last seven days, and the silences in force."""
    import msgspec

    from otel_measure.alerting.report import rule_alerts

    messages = _messages(load_settings({}))
    with opened(load_settings({"store": store})) as kept:
        report = rule_alerts(kept, messages, None, _now_us())
    if as_json:
        click.echo(plain_json(msgspec.json.encode(report).decode()))
        return
    when = "never" if report.evaluated is None else f"{report.evaluated:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"evaluated: {when}")
    for heading, lines in (
        ("active", list(map(_alert_line, report.active))),
        ("recent", list(map(_alert_line, report.recent))),
        ("silences", list(map(_silence_line, report.silences))),
    ):
        click.echo(f"{heading}: {len(lines) or 'none'}")
        for line in lines:
            click.echo(f"  {plain(line)}")


@alerts.command(
    "silence",
    short_help="Keep alerts from being told for a while.",
    epilog="""\b
Examples:
  otel-measure alerts silence --subject churn --for 2h --reason "a new version"
  otel-measure alerts silence --rule model_latency --environment staging --for 7d --reason "load tests"
  otel-measure alerts silence --end 0197…
""",
)
@click.option("--rule", help="Only of this rule.")
@click.option("--subject", help="Only of this model, service or host.")
@click.option("--environment", help="Only of this environment; empty for the unnamed one.")
@click.option("--for", "length", metavar="TIME", default="1h", show_default=True, help="A number and m, h, d or w.")
@click.option("--reason", default="", help="For whoever wonders why nobody was told; needed.")
@click.option("--end", "ended", metavar="ID", help="End a silence instead.")
@store_option
def silence(
    rule: str | None,
    subject: str | None,
    environment: str | None,
    length: str,
    reason: str,
    ended: str | None,
    store: str | None,
) -> None:
    """Keep alerts of a rule, a subject, an environment, or what is all of them, from being told for a while."""
    from otel_measure.definitions.alerting.silences import Silence
    from otel_measure.definitions.windows import minutes

    if ended is not None:
        with opened(load_settings({"store": store})) as kept:
            if not kept.alerts.end_silence(ended):
                raise NotFound("silence", ended)
        click.echo(f"ended {ended}")
        return
    now_us = _now_us()
    try:
        ends_us = now_us + minutes(length) * _MINUTE_US
        made = Silence(uuid.uuid4().hex[:12], rule, subject, environment, now_us, ends_us, reason)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    with opened(load_settings({"store": store})) as kept:
        _refuse_unknown(rule)
        kept.alerts.add_silence(made)
    click.echo(made.id)


def _refuse_unknown(rule: str | None) -> None:
    """Refuse a silence that would hold nothing back.

    Raises:
        ConfigurationError: no rule has this name.
    """
    keys = list(_rules(load_settings({})))
    if rule is not None and rule not in keys:
        raise ConfigurationError(f"there is no rule {rule!r}; the rules are {', '.join(keys)}")


def _rules(settings: Settings) -> dict[str, AlertRule]:
    """Return the rules by their key, as the settings have them, with those that are off: of these alerts are kept."""
    from otel_measure.definitions.alerting.overrides import rules_with
    from otel_measure.definitions.alerting.rules import ALERT_RULES

    return {rule.key: rule for rule in (*ALERT_RULES, *rules_with(settings.alert_rules))}


def _messages(settings: Settings) -> Messages:
    from otel_measure.alerting.messages import Messages

    return Messages(_rules(settings), settings.page_url)


def _now_us() -> int:
    return time.time_ns() // 1000


def _alert_line(alert: ListedAlert) -> str:
    where = "/".join(part for part in (alert.subject.kind, alert.subject.name, alert.subject.environment) if part)
    times = f"since {alert.since:%Y-%m-%d %H:%M}" + (f" until {alert.until:%Y-%m-%d %H:%M}" if alert.until else "")
    why = f" ({alert.resolution})" if alert.resolution else ""
    told = "".join(f"; {_told(delivery)}" for delivery in alert.told)
    return f"{alert.state}{why} {alert.severity} {alert.rule} {where} {times}: {alert.sentence or alert.title}{told}"


def _told(delivery: DeliveryMessage) -> str:
    if delivery.taken is None:
        return f"{delivery.receiver} has not taken that it is {delivery.status}"
    return f"{delivery.receiver} was told at {delivery.taken:%H:%M:%S} that it is {delivery.status}"


def _silence_line(silence: SilenceMessage) -> str:
    of = {"rule": silence.rule, "subject": silence.subject, "environment": silence.environment}
    about = " ".join(f"{name}={value!r}" for name, value in of.items() if value is not None)
    return f"{silence.id} {about} until {silence.ends:%Y-%m-%d %H:%M}: {silence.reason}"
