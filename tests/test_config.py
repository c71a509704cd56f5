from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from otel_measure.config import DEFAULT, Settings, default_store
from otel_measure.errors import ConfigurationError

SIGNING_KEY = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
EVERYTHING = {
    "OTEL_MEASURE_SERVICE_NAME": "shop",
    "OTEL_MEASURE_ENVIRONMENT": "prod",
    "OTEL_MEASURE_STORE": "/x/y.db",
    "OTEL_MEASURE_OTLP_ENDPOINT": "https://collector:4318",
    "OTEL_MEASURE_TIMEZONE": "Europe/Paris",
    "OTEL_MEASURE_DURABILITY": "power",
    "OTEL_MEASURE_QUEUE_SIZE": "10",
    "OTEL_MEASURE_FLUSH_INTERVAL_MS": "20",
    "OTEL_MEASURE_RETENTION_DAYS": "30",
    "OTEL_MEASURE_STORE_MAX_BYTES": "33554432",
    "OTEL_MEASURE_HISTORY_DAYS": "3",
    "OTEL_MEASURE_SAMPLE_INTERVAL_S": "0.5",
    "OTEL_MEASURE_PRICE_OVERRIDES": '{"m": {"input_per_million_usd": 1.5}}',
    "OTEL_MEASURE_EVENT_TYPES": '{"checkout.done": "purchase", "*": "ignore"}',
    "OTEL_MEASURE_TRACE_URL": "https://tempo/{trace_id}",
    "OTEL_MEASURE_AUTO_INSTRUMENT": "true",
    "OTEL_MEASURE_STORE_TEXT": "true",
    "OTEL_MEASURE_SESSION_GAP_S": "60",
    "OTEL_MEASURE_DRIFT_WINDOW_RECORDS": "50",
    "OTEL_MEASURE_DRIFT_WINDOW_HOURS": "1",
    "OTEL_MEASURE_HOST": "0.0.0.0",
    "OTEL_MEASURE_PORT": "0",
    "OTEL_MEASURE_GRPC_PORT": "4318",
    "OTEL_MEASURE_PUBLIC_URL": "https://measure.example.com/",
    "OTEL_MEASURE_TOKEN": "t",
    "OTEL_MEASURE_READ_TOKEN": "r",
    "OTEL_MEASURE_WRITE_TOKEN": "w",
    "OTEL_MEASURE_TOKENS_FILE": "tokens",
    "OTEL_MEASURE_INSECURE": "1",
    "OTEL_MEASURE_CORS_ORIGINS": "https://a, https://b",
    "OTEL_MEASURE_ALERT_EVALUATION": "always",
    "OTEL_MEASURE_SPOOL": "/x/spool",
    "OTEL_MEASURE_COLLECTOR_DATABASE": "otel",
    "OTEL_MEASURE_ALERT_INTERVAL_S": "30",
    "OTEL_MEASURE_ALERT_WEBHOOK": "https://hook/a",
    "OTEL_MEASURE_ALERT_WEBHOOK_SECRET": SIGNING_KEY,
    "OTEL_MEASURE_ALERT_SLACK": "https://slack/a",
    "OTEL_MEASURE_ALERT_ALERTMANAGER": "http://am:9093",
    "OTEL_MEASURE_ALERT_HEARTBEAT": "https://watch/a",
    "OTEL_MEASURE_ALERT_RULES": '{"model_latency": {"threshold": 2000, "enabled": false}}',
}
MEANT = Settings(
    service_name="shop",
    environment="prod",
    store="/x/y.db",
    spool="/x/spool",
    collector_database="otel",
    otlp_endpoint="https://collector:4318",
    timezone="Europe/Paris",
    durability="power",
    queue_size=10,
    flush_interval_ms=20,
    retention_days=30,
    store_max_bytes=32 * 2**20,
    history_days=3,
    sample_interval_s=0.5,
    price_overrides={"m": {"input_per_million_usd": 1.5}},
    event_types={"checkout.done": "purchase", "*": "ignore"},
    trace_url="https://tempo/{trace_id}",
    auto_instrument=True,
    store_text=True,
    session_gap_s=60,
    drift_window_records=50,
    drift_window_hours=1,
    host="0.0.0.0",
    grpc_port=4318,
    public_url="https://measure.example.com/",
    port=0,
    token="t",
    read_token="r",
    write_token="w",
    tokens_file="tokens",
    insecure=True,
    cors_origins=("https://a", "https://b"),
    alert_evaluation="always",
    alert_interval_s=30.0,
    alert_webhook="https://hook/a",
    alert_webhook_secret=SIGNING_KEY,
    alert_slack="https://slack/a",
    alert_alertmanager="http://am:9093",
    alert_heartbeat="https://watch/a",
    alert_rules={"model_latency": {"threshold": 2000, "enabled": False}},
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file of the folder the tests run in is read."""
    monkeypatch.chdir(tmp_path)


def test_everything_can_be_set_from_the_environment() -> None:
    """Each setting has its variable."""
    assert {name.removeprefix("OTEL_MEASURE_").lower() for name in EVERYTHING} == {f.name for f in fields(Settings)}
    assert Settings.load(EVERYTHING) == MEANT


def test_everything_can_be_set_from_a_file(tmp_path: Path) -> None:
    """The names are those of the settings."""
    file = tmp_path / "settings.toml"
    file.write_text(
        """
        service_name = "shop"
        environment = "prod"
        store = "/x/y.db"
        spool = "/x/spool"
        collector_database = "otel"
        otlp_endpoint = "https://collector:4318"
        timezone = "Europe/Paris"
        durability = "power"
        queue_size = 10
        flush_interval_ms = 20
        retention_days = 30
        store_max_bytes = 33554432
        history_days = 3
        sample_interval_s = 0.5
        store_text = true
        session_gap_s = 60
        drift_window_records = 50
        drift_window_hours = 1
        host = "0.0.0.0"
        port = 0
        grpc_port = 4318
        token = "t"
        read_token = "r"
        write_token = "w"
        tokens_file = "tokens"
        insecure = true
        cors_origins = ["https://a", "https://b"]
        trace_url = "https://tempo/{trace_id}"
        auto_instrument = true
        alert_evaluation = "always"
        alert_interval_s = 30.0
        alert_webhook = "https://hook/a"
        public_url = "https://measure.example.com/"
        alert_webhook_secret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"
        alert_slack = "https://slack/a"
        alert_alertmanager = "http://am:9093"
        alert_heartbeat = "https://watch/a"
        [event_types]
        "checkout.done" = "purchase"
        "*" = "ignore"
        [price_overrides.m]
        input_per_million_usd = 1.5
        [alert_rules.model_latency]
        threshold = 2000
        enabled = false
        """
    )
    assert Settings.load({}, file=file) == MEANT
    assert Settings.load({"OTEL_MEASURE_CONFIG": str(file)}) == MEANT


def test_the_file_of_the_folder_is_read(tmp_path: Path) -> None:
    """`otel-measure.toml`, where it is; "none" means no store."""
    (tmp_path / "otel-measure.toml").write_text('store = "none"\nport = 1')
    assert Settings.load({}) == Settings(store=None, port=1)


def test_arguments_beat_the_environment_beats_the_file(tmp_path: Path) -> None:
    """Whoever is nearer to the program wins; DEFAULT is not an argument."""
    file = tmp_path / "x.toml"
    file.write_text('port = 1\nhost = "file"\nenvironment = "file"\nservice_name = "file"')
    environ = {
        "OTEL_MEASURE_PORT": "2",
        "OTEL_MEASURE_HOST": "own",
        "OTEL_SERVICE_NAME": "standard",
        "OTEL_MEASURE_SERVICE_NAME": "own",
        "OTEL_MEASURE_STORE": "env.db",
    }
    found = Settings.load(environ, file=file, port=3, store=None, timezone=DEFAULT)
    assert found == Settings(port=3, host="own", environment="file", service_name="own", store=None)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {}),
        ({"OTEL_SERVICE_NAME": "a"}, {"service_name": "a"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=b%20c, deployment.environment.name=prod,broken"},
            {"service_name": "b c", "environment": "prod"},
        ),
        ({"OTEL_SERVICE_NAME": "a", "OTEL_RESOURCE_ATTRIBUTES": "service.name=b"}, {"service_name": "a"}),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old"}, {"environment": "old"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, {"otlp_endpoint": "http://c:4318"}),
        ({"OTEL_MEASURE_STORE": "None"}, {"store": None}),
        ({"OTEL_MEASURE_PORT": "", "OTEL_MEASURE_CI": "1"}, {}),
        ({"OTEL_MEASURE_STORE_TEXT": "FALSE"}, {"store_text": False}),
    ],
)
def test_the_environment(environ: dict[str, str], expected: dict[str, Any]) -> None:
    """OpenTelemetry's own variables are honoured; an empty variable is not set."""
    wanted: dict[str, Any] = {"store": str(default_store({"HOME": "/h"}))} | expected
    assert Settings.load({"HOME": "/h"} | environ) == Settings(**wanted)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/otel-measure/measure.db"),
        ({"HOME": "/h"}, "/h/.local/state/otel-measure/measure.db"),
        ({}, str(Path.home() / ".local/state/otel-measure/measure.db")),
    ],
)
def test_the_default_store(environ: dict[str, str], expected: str) -> None:
    """As the XDG base directory specification has it."""
    assert default_store(environ) == Path(expected)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("service_name", " ", "a non-empty string, not ' '"),
        ("environment", None, "a string, not None"),
        ("store", "", "a path, a URL, \":memory:\" or None, not ''"),
        ("otlp_endpoint", "collector:4317", "an http:// or https:// URL, not 'collector:4317'"),
        ("timezone", "Mars/Olympus", "the name of an IANA time zone such as \"Europe/Paris\", not 'Mars/Olympus'"),
        ("timezone", "../UTC", "the name of an IANA time zone such as \"Europe/Paris\", not '../UTC'"),
        ("durability", "none", 'one of "process", "power", not \'none\''),
        ("queue_size", 0, "a whole number from 1 to 10000000, not 0"),
        ("queue_size", True, "a whole number from 1 to 10000000, not True"),
        ("flush_interval_ms", 201, "a whole number from 1 to 200, not 201"),
        ("retention_days", 1.5, "a whole number from 1 to 36500, not 1.5"),
        ("store_max_bytes", 1, "a whole number from 16777216 to 1152921504606846976, not 1"),
        ("sample_interval_s", 0.01, "a number of seconds from 0.1 to 3600, not 0.01"),
        ("sample_interval_s", float("nan"), "a number of seconds from 0.1 to 3600, not nan"),
        ("price_overrides", [], "a mapping of model names to prices, not []"),
        ("alert_rules", {"host_cpu": 95}, "a mapping of alert rules to what they have otherwise, not {'host_cpu': 95}"),
        (
            "event_types",
            {"a": "buy"},
            "a mapping of event names to one of click, conversion, custom, error, feature_use, form_submit, ignore, "
            "login, logout, page_view, purchase, signup, not {'a': 'buy'}",
        ),
        ("store_text", 1, "true or false, not 1"),
        ("host", "", "a host name or address, not ''"),
        ("port", 65_536, "a whole number from 0 to 65535, not 65536"),
        ("token", "", "a non-empty string, not a secret"),
        ("read_token", 12345, "a non-empty string, not a secret"),
        ("alert_evaluation", "sometimes", """one of "serve", "always", "never", not 'sometimes'"""),
        ("alert_interval_s", 0, "a number of seconds from 1 to 3600, not 0"),
        *(
            ("alert_slack", url, "an http:// or https:// URL, not a secret")
            for url in ("", "slack", "ftp://slack/x", "https://", "http://slack:port/x", "http://[slack/x", 1)
        ),
        *(
            ("alert_webhook_secret", key, "whsec_ and 24 to 64 random bytes in base64, not a secret")
            for key in ("", "c2VjcmV0", "whsec_c2VjcmV0", "whsec_…", "whsec_" + "c2VjcmV0" * 15, 1)
        ),
        ("cors_origins", ("a", 1), "a list of origins, not ('a', 1)"),
    ],
)
def test_a_bad_value_is_an_error_that_names_it(name: str, value: Any, rule: str) -> None:
    """Name, rule and value; a secret is not shown."""
    with pytest.raises(ConfigurationError) as raised:
        Settings.load({}, **{name: value})
    assert str(raised.value) == f"{name} must be {rule}"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_MEASURE_PORT": "x"}, "OTEL_MEASURE_PORT must be a whole number, not 'x'"),
        ({"OTEL_MEASURE_INSECURE": "yes"}, "OTEL_MEASURE_INSECURE must be true or false, not 'yes'"),
        ({"OTEL_MEASURE_PRICE_OVERRIDES": "{"}, "OTEL_MEASURE_PRICE_OVERRIDES must be a JSON object, not '{'"),
        ({"OTEL_MEASURE_PROT": "1"}, "unknown setting 'prot' (environment variable OTEL_MEASURE_PROT)"),
    ],
)
def test_a_bad_variable_is_an_error_that_names_it(environ: dict[str, str], message: str) -> None:
    """A setting that is silently ignored costs a night."""
    with pytest.raises(ConfigurationError) as raised:
        Settings.load(environ)
    assert str(raised.value).startswith(message)


def test_an_unknown_argument_lists_the_known_ones() -> None:
    """The typo is next to the name that was meant."""
    with pytest.raises(ConfigurationError) as raised:
        Settings.load({}, prot=1)
    known = ", ".join(sorted(f.name for f in fields(Settings)))
    assert str(raised.value) == f"unknown setting 'prot' (argument); the settings are: {known}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"port = ", "cannot read the settings file"),
        (b"\xff", "cannot read the settings file"),
        (b"prot = 1", "unknown setting 'prot' (in "),
        (b"[service]\nname = 1", "unknown setting 'service' (in "),
        (b'cors_origins = "https://a"', "cors_origins must be a list of origins, not 'https://a'"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    """The path is in the message where the file is the matter."""
    file = tmp_path / "x.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        Settings.load({}, file=file)
    assert str(raised.value).startswith(message)


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    """Only the one that nobody named may be absent."""
    with pytest.raises(ConfigurationError, match="cannot read the settings file"):
        Settings.load({"OTEL_MEASURE_CONFIG": str(tmp_path / "no.toml")})


def test_differences_names_settings() -> None:
    """In the order of the class."""
    assert Settings().differences(Settings(port=1, store="x")) == ["store", "port"]
    assert Settings().differences(Settings()) == []


def test_settings_are_frozen_and_keep_their_secrets() -> None:
    """Tokens, the key that signs, and URLs that let whoever knows them write are in no repr, hence in no log."""
    secret = "http://there/s3cret"
    settings = Settings(
        token=secret,
        read_token=secret,
        write_token=secret,
        alert_webhook_secret="whsec_" + "s3cret00" * 4,
        alert_webhook=secret,
        alert_slack=secret,
        alert_alertmanager=secret,
        alert_heartbeat=secret,
    )
    with pytest.raises(FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]
    assert "s3cret" not in repr(settings)
    assert repr(DEFAULT) == "DEFAULT"
