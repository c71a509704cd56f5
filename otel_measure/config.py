"""Settings: from arguments, then the environment, then `otel-measure.toml`; read here, once.

An unknown key or a bad value is an error that names it: a setting that is silently ignored costs a night.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from otel_measure.conventions import dialects
from otel_measure.errors import ConfigurationError
from otel_measure.records.enums import EventType
from otel_measure.setting_kinds import (
    FLAG,
    WEB_ADDRESS,
    is_base_address,
    is_database_name,
    is_signing_key,
    is_text_or_none,
    is_trace_url,
    is_web_address,
    is_zone,
    one_of,
    seconds,
    whole,
)

Durability: TypeAlias = Literal["process", "power"]
AlertEvaluation: TypeAlias = Literal["serve", "always", "never"]
_FILE: Final = "otel-measure.toml"
_log: Final = logging.getLogger("otel_measure")
_PREFIX: Final = "OTEL_MEASURE_"
# Read by other parts, before there are settings.
_OTHER_VARIABLES: Final = frozenset({"OTEL_MEASURE_CONFIG", "OTEL_MEASURE_CI"})


class Default:
    """The mark for "not given", where `None` has a meaning of its own."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with its default.

    Attributes:
        service_name: `service.name` of every record (`OTEL_SERVICE_NAME`).
        environment: `deployment.environment.name` of every record, and what answers are about unless another is asked
            for.
        store: a path, `":memory:"`, or `None` for no store (`OTEL_MEASURE_STORE`, where `none` means no store).
        spool: a file in which records wait until the store has taken them, so that one that is away costs no call
            anything; `None` for a store on this machine.
        collector_database: the database on the server of the store into which an OpenTelemetry Collector writes: what
            comes there is read as if it had been sent here.
        otlp_endpoint: where metrics and events go by OTLP/HTTP; `None` sends nothing.
        timezone: the IANA zone whose calendar days are "days" in every user report.
        durability: "process" survives `kill -9`; "power" makes every commit survive power loss as well.
        queue_size: records waiting for the recorder thread before new ones are dropped and counted.
        flush_interval_ms: how long a record waits for others to share its commit.
        retention_days: how long facts are kept; older records are refused.
        store_max_bytes: what the store may use; from nine tenths on the oldest hours go, but none of the last one.
        history_days: how long one row per stream and minute is kept.
        sample_interval_s: seconds between two readings of the machine.
        price_overrides: model name to {"input_per_million_usd", "output_per_million_usd"}.
        event_types: name of an event of others to the `EventType` it is, or "ignore"; "*" stands for all not named.
        trace_url: where a trace is shown, an address with `{trace_id}` in it; answers about single calls lead there.
        auto_instrument: turn on the official GenAI instrumentations that are installed.
        store_text: keep text: predictions (off, only their length is kept), and what others send of messages, prompts,
            answers and arguments of commands in attributes.
        session_gap_s: how long a person may pause within one session.
        drift_window_records, drift_window_hours: a drift window ends with whichever comes first.
        host, port: where `serve` listens.
        grpc_port: where it takes OTLP over gRPC, with the extra `grpc`; `None` for 4317, unless somebody has that.
        token: the bearer token that may do everything; `None` answers direct loopback clients only.
        read_token, write_token: bearer tokens that may only read, or only write.
        tokens_file: a file of more tokens, each by its hash; read anew when it changes.
        insecure: answer anybody without a token.
        public_url: where people reach the page, for links of notifications; `None` for where `serve` listens.
        cors_origins: origins that browsers may call from.
        alert_evaluation: who evaluates alerts: what `serve` runs, "always" whoever has these settings, or "never".
        alert_interval_s: seconds from one evaluation to the next.
        alert_webhook: the URL that notifications are posted to as JSON.
        alert_webhook_secret: `whsec_` and a key in base64, with which they are signed; `None` signs nothing.
        alert_slack: the URL of an incoming webhook of Slack.
        alert_alertmanager: the base URL of an Alertmanager, which is told of what fires after every evaluation.
        alert_heartbeat: a URL that is asked for after every evaluation: who watches it hears of our end.
        alert_rules: the key of an alert rule to what it has otherwise: "threshold", "window_s", "severity", "enabled";
            of a key of one's own, a rule over a column of a series.
    """

    service_name: str = "unknown_service"
    environment: str = ""
    store: str | None = None
    spool: str | None = None
    collector_database: str | None = None
    otlp_endpoint: str | None = None
    timezone: str = "UTC"
    durability: Durability = "process"
    queue_size: int = 100_000
    flush_interval_ms: int = 50
    retention_days: int = 400
    store_max_bytes: int = 10 * 2**30
    history_days: int = 30
    sample_interval_s: float = 10.0
    price_overrides: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    event_types: Mapping[str, str] = field(default_factory=dict)
    trace_url: str | None = None
    auto_instrument: bool = False
    store_text: bool = False
    session_gap_s: int = 1800
    drift_window_records: int = 1000
    drift_window_hours: int = 24
    host: str = "127.0.0.1"
    port: int = 5000
    grpc_port: int | None = None
    token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)
    write_token: str | None = field(default=None, repr=False)
    tokens_file: str | None = None
    insecure: bool = False
    public_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    alert_evaluation: AlertEvaluation = "serve"
    alert_interval_s: float = 60.0
    alert_webhook: str | None = field(default=None, repr=False)
    alert_webhook_secret: str | None = field(default=None, repr=False)
    alert_slack: str | None = field(default=None, repr=False)
    alert_alertmanager: str | None = field(default=None, repr=False)
    alert_heartbeat: str | None = field(default=None, repr=False)
    alert_rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in _RULES:
            rule(self)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, file: Path | None = None, **arguments: Any) -> Settings:
        """Return the settings in force: `arguments`, then `environ`, then the file, then the defaults.

        Args:
            environ: the environment; that of the process when not given.
            file: a TOML file; `OTEL_MEASURE_CONFIG` or `./otel-measure.toml` when not given.
            arguments: settings by name; `DEFAULT` counts as not given.

        Raises:
            ConfigurationError: an unknown key, a value of the wrong kind, a file that cannot be read.
        """
        env = os.environ if environ is None else environ
        given = {key: value for key, value in arguments.items() if value is not DEFAULT}
        _refuse_unknown("argument", given)
        layers = (_from_file(file, env), _from_standard_variables(env), _from_own_variables(env), given)
        values: dict[str, Any] = {"store": str(default_store(env))}
        for layer in layers:
            values.update(layer)
        return cls(**values)

    @property
    def asks_for_token(self) -> bool:
        """Whether a request needs a token."""
        return not self.insecure and any((self.token, self.read_token, self.write_token, self.tokens_file))

    @property
    def page_url(self) -> str:
        """Where people reach the page, with a slash at its end."""
        return f"{(self.public_url or f'http://{self.host}:{self.port}').rstrip('/')}/"

    def differences(self, other: Settings) -> list[str]:
        """Return the names of the settings in which two differ."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


def default_store(environ: Mapping[str, str]) -> Path:
    """Return `$XDG_STATE_HOME/otel-measure/measure.db`."""
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".local" / "state")
    return Path(state) / "otel-measure" / "measure.db"


_SHOWN: Final = frozenset(each.name for each in fields(Settings) if each.repr)


def _check(name: str, valid: Callable[[Any], bool], rule: str) -> Callable[[Settings], None]:
    def check(settings: Settings) -> None:
        value = getattr(settings, name)
        if not valid(value):
            shown = repr(value) if name in _SHOWN else "a secret"
            raise ConfigurationError(f"{name} must be {rule}, not {shown}")

    return check


_EVENT_TYPES: Final = frozenset({*(member.value for member in EventType), dialects.IGNORED_EVENT})
_PORT: Final = whole(0, 65_535)
ALERT_RECEIVERS: Final = ("webhook", "slack", "alertmanager", "heartbeat")
_RULES: Final[tuple[Callable[[Settings], None], ...]] = (
    _check("service_name", lambda v: isinstance(v, str) and v.strip() != "", "a non-empty string"),
    _check("environment", lambda v: isinstance(v, str), "a string"),
    _check("store", is_text_or_none, 'a path, a URL, ":memory:" or None'),
    _check("spool", is_text_or_none, "the path of a file, or None"),
    _check("collector_database", is_database_name, "the name of a database: letters, digits and _, or None"),
    _check("otlp_endpoint", is_web_address, WEB_ADDRESS),
    _check("timezone", is_zone, 'the name of an IANA time zone such as "Europe/Paris"'),
    _check("durability", *one_of(Durability)),
    _check("queue_size", *whole(1, 10_000_000)),
    _check("flush_interval_ms", *whole(1, 200)),
    _check("retention_days", *whole(1, 36_500)),
    _check("store_max_bytes", *whole(16 * 2**20, 2**60)),
    _check("history_days", *whole(1, 3650)),
    _check("sample_interval_s", *seconds(0.1, 3600)),
    _check("price_overrides", lambda v: isinstance(v, Mapping), "a mapping of model names to prices"),
    _check(
        "event_types",
        lambda v: isinstance(v, Mapping) and all(kind in _EVENT_TYPES for kind in v.values()),
        f"a mapping of event names to one of {', '.join(sorted(_EVENT_TYPES))}",
    ),
    _check("trace_url", is_trace_url, "an http:// or https:// URL with one {trace_id} behind its host"),
    _check("auto_instrument", *FLAG),
    _check("store_text", *FLAG),
    _check("session_gap_s", *whole(1, 86_400)),
    _check("drift_window_records", *whole(50, 100_000)),
    _check("drift_window_hours", *whole(1, 24 * 365)),
    _check("host", lambda v: isinstance(v, str) and v != "", "a host name or address"),
    _check("port", *_PORT),
    _check("grpc_port", lambda v: v is None or _PORT[0](v), _PORT[1]),
    *(_check(name, is_text_or_none, "a non-empty string") for name in ("token", "read_token", "write_token")),
    _check("tokens_file", is_text_or_none, "the path of a file, or None"),
    _check("insecure", *FLAG),
    _check("public_url", is_base_address, f"{WEB_ADDRESS} without ? and #"),
    _check("cors_origins", lambda v: isinstance(v, tuple) and all(isinstance(o, str) for o in v), "a list of origins"),
    _check("alert_evaluation", *one_of(AlertEvaluation)),
    _check("alert_interval_s", *seconds(1, 3600)),
    *(_check(f"alert_{name}", is_web_address, WEB_ADDRESS) for name in ALERT_RECEIVERS),
    _check("alert_webhook_secret", is_signing_key, "whsec_ and 24 to 64 random bytes in base64"),
    _check(
        "alert_rules",
        lambda v: isinstance(v, Mapping) and all(isinstance(changes, Mapping) for changes in v.values()),
        "a mapping of alert rules to what they have otherwise",
    ),
)


# A variable that an environment still carries must not keep an upgraded application from starting.
RETIRED: Final[Mapping[str, str]] = MappingProxyType(
    {"spans_wait_s": "spans count at once, and metrics of the same calls are compared with them"}
)


def _refuse_unknown(where: str, keys: Mapping[str, Any]) -> None:
    known = {f.name for f in fields(Settings)}
    for key in keys:
        if key not in known:
            raise ConfigurationError(f"unknown setting {key!r} ({where}); the settings are: {', '.join(sorted(known))}")


def _from_file(file: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    named = file or (Path(environ["OTEL_MEASURE_CONFIG"]) if environ.get("OTEL_MEASURE_CONFIG") else None)
    path = named or Path(_FILE)
    if named is None and not path.is_file():
        return {}
    import tomllib

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings file {path}: {error}") from error
    _refuse_unknown(f"in {path}", values)
    if isinstance(values.get("cors_origins"), list):
        values["cors_origins"] = tuple(values["cors_origins"])
    if values.get("store") == "none":
        values["store"] = None
    return values


def _from_standard_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what OpenTelemetry's own variables say; the SDK reads the rest of them by itself."""
    resource = dict(_resource_attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    values = {
        "service_name": environ.get("OTEL_SERVICE_NAME") or resource.get("service.name"),
        "environment": resource.get("deployment.environment.name") or resource.get("deployment.environment"),
        "otlp_endpoint": environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
    }
    return {key: value for key, value in values.items() if value}


def _resource_attributes(text: str) -> list[tuple[str, str]]:
    pairs = (item.partition("=") for item in text.split(",") if "=" in item)
    return [(key.strip(), unquote(value.strip())) for key, _, value in pairs]


def _from_own_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, raw in environ.items():
        if not variable.startswith(_PREFIX) or variable in _OTHER_VARIABLES or raw == "":
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if name in RETIRED:
            _log.warning("%s is ignored: %s", variable, RETIRED[name])
            continue
        _refuse_unknown(f"environment variable {variable}", {name: raw})
        values[name] = _parsed(variable, name, raw)
    return values


def _flag(raw: str) -> bool:
    if raw.lower() not in {"true", "false", "1", "0"}:
        raise ValueError("true or false")
    return raw.lower() in {"true", "1"}


def _table(raw: str) -> Any:
    return json.loads(raw)


_WHOLE_NUMBERS: Final = (
    *("queue_size", "flush_interval_ms", "retention_days", "store_max_bytes", "history_days", "session_gap_s", "port"),
    "grpc_port",
    *("drift_window_records", "drift_window_hours"),
)
_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "store": lambda raw: None if raw.lower() == "none" else raw,
    "sample_interval_s": float,
    "alert_interval_s": float,
    "price_overrides": _table,
    "event_types": _table,
    "alert_rules": _table,
    "auto_instrument": _flag,
    "store_text": _flag,
    "insecure": _flag,
    "cors_origins": lambda raw: tuple(origin.strip() for origin in raw.split(",") if origin.strip()),
    **dict.fromkeys(_WHOLE_NUMBERS, int),
}


_READ_AS: Final[Mapping[str, str]] = {
    "sample_interval_s": "a number of seconds",
    "alert_interval_s": "a number of seconds",
    "price_overrides": "a JSON object",
    "event_types": "a JSON object",
    "alert_rules": "a JSON object",
    **dict.fromkeys(_WHOLE_NUMBERS, "a whole number"),
}


def _parsed(variable: str, name: str, raw: str) -> Any:
    try:
        return _PARSERS.get(name, str)(raw)
    except ValueError as error:
        rule = _READ_AS.get(name, str(error))
        raise ConfigurationError(f"{variable} must be {rule}, not {raw!r}") from error
