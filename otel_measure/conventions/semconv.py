"""Every metric, attribute and event name, unit and bucket: the only string table.

The GenAI and system conventions are still moving, so their names are data here and nowhere else.
Names follow opentelemetry-semantic-conventions 0.66b2; what starts with ``otel_measure.`` is ours.
Gauges of ours that are ratios are *named* ``….ratio``: the Collector appends that suffix to
unit-1 gauges and the Python exporter does not, so only a name that has it is the same on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final, Literal

Kind = Literal["histogram", "counter", "updowncounter", "gauge"]

SCOPE_AI: Final = "otel_measure.ai"
SCOPE_INFRASTRUCTURE: Final = "otel_measure.infrastructure"
SCOPE_USERS: Final = "otel_measure.users"
SCOPE_HTTP: Final = "otel_measure.http"
SCOPE_SELF: Final = "otel_measure.self"
SCOPE_EVENTS: Final = "otel_measure"

MICRO: Final = 1_000_000
NANO: Final = 1_000_000_000
UNITS_PER_VALUE: Final[Mapping[str, int]] = MappingProxyType({"s": MICRO, "{USD}": NANO, "{score}": MICRO})


@dataclass(frozen=True, slots=True)
class Instrument:
    """What one metric is called and how its values are kept.

    Attributes:
        name: The OpenTelemetry name.
        kind: The instrument kind.
        unit: UCUM unit, annotations in braces.
        description: One sentence: which question the metric answers.
        observable: Read by a callback, not recorded where things happen.
        buckets: Explicit upper bounds for the exposition; histograms only, ascending.
        units_per_value: Integer grid on which the store adds without rounding error (seconds are
            added as µs, USD as nano-USD). Gauges are never added and ignore it.
        scope: The instrumentation scope that emits it.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    observable: bool = False
    buckets: tuple[float, ...] = ()
    units_per_value: int = 1
    scope: str = SCOPE_INFRASTRUCTURE


def _instrument(
    scope: str, kind: Kind, observable: bool, name: str, unit: str, about: str, buckets: tuple[float, ...] = ()
) -> Instrument:
    return Instrument(name, kind, unit, about, observable, buckets, UNITS_PER_VALUE.get(unit, 1), scope)


# Buckets: explicit bounds of the exposition. Percentiles never come from them.

BUCKETS_DURATION: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
BUCKETS_TOKENS: Final = tuple(float(4**power) for power in range(14))
BUCKETS_TIME_TO_FIRST_TOKEN: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
BUCKETS_AGENT_DURATION: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
BUCKETS_COST_USD: Final = (
    *(0.00001, 0.0000316, 0.0001, 0.000316, 0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16, 10.0),
)
BUCKETS_COMMIT_DURATION: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)

# Instruments: models

_ai_histogram = partial(_instrument, SCOPE_AI, "histogram", False)
_ai_counter = partial(_instrument, SCOPE_AI, "counter", True)
_ai_gauge = partial(_instrument, SCOPE_AI, "gauge", True)

GEN_AI_CLIENT_OPERATION_DURATION: Final = _ai_histogram(
    "gen_ai.client.operation.duration", "s", "How long calls of a model take.", BUCKETS_DURATION
)
GEN_AI_CLIENT_TOKEN_USAGE: Final = _ai_histogram(
    "gen_ai.client.token.usage", "{token}", "How many tokens a call reads and writes.", BUCKETS_TOKENS
)
GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK: Final = _ai_histogram(
    "gen_ai.client.operation.time_to_first_chunk", "s", "How long a stream takes to start.", BUCKETS_DURATION
)
GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK: Final = _ai_histogram(
    "gen_ai.client.operation.time_per_output_chunk", "s", "How far apart the chunks of a stream are.", BUCKETS_DURATION
)
OTEL_MEASURE_AI_INFERENCE_COST_USD: Final = _ai_histogram(
    "otel_measure.ai.inference.cost.usd", "{USD}", "What one priced inference costs.", BUCKETS_COST_USD
)
OTEL_MEASURE_AI_TOKENS: Final = _ai_counter("otel_measure.ai.tokens", "{token}", "How many tokens were used.")
OTEL_MEASURE_AI_COST_USD: Final = _ai_counter("otel_measure.ai.cost.usd", "{USD}", "What the priced inferences cost.")
OTEL_MEASURE_AI_INFERENCES: Final = _ai_counter(
    "otel_measure.ai.inferences", "{inference}", "How many inferences were made."
)
OTEL_MEASURE_AI_ACCURACY_RATIO: Final = _ai_gauge(
    "otel_measure.ai.accuracy.ratio", "1", "Which share of the labelled predictions is right."
)
OTEL_MEASURE_AI_DRIFT_SCORE: Final = _ai_gauge(
    "otel_measure.ai.drift.score", "{score}", "How far the data moved from its reference, 0 to 1."
)
OTEL_MEASURE_AI_HEALTH_SCORE: Final = _ai_gauge(
    "otel_measure.ai.health.score", "{point}", "How well a model does against its targets, 0 to 100."
)
OTEL_MEASURE_AI_DATA_QUALITY_RATIO: Final = _ai_gauge(
    "otel_measure.ai.data_quality.ratio", "1", "How complete and valid the features of a model are."
)

OTEL_MEASURE_AI_EVALUATION_SCORE: Final = _ai_histogram(
    *("otel_measure.ai.evaluation.score", "{score}", "Which scores answers of a model were given."),
    *((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 100.0),),
)
OTEL_MEASURE_AI_EVALUATIONS: Final = _ai_counter(
    "otel_measure.ai.evaluations", "{evaluation}", "How many answers of a model were evaluated, by label."
)

# Instruments: infrastructure

_counter = partial(_instrument, SCOPE_INFRASTRUCTURE, "counter", True)
_updown = partial(_instrument, SCOPE_INFRASTRUCTURE, "updowncounter", True)
_gauge = partial(_instrument, SCOPE_INFRASTRUCTURE, "gauge", True)

SYSTEM_CPU_TIME: Final = _counter("system.cpu.time", "s", "How long the CPUs spent in each mode, all cores together.")
SYSTEM_CPU_UTILIZATION: Final = _gauge("system.cpu.utilization", "1", "Which share of CPU time each mode took.")
SYSTEM_CPU_LOGICAL_COUNT: Final = _updown("system.cpu.logical.count", "{cpu}", "How many logical CPUs there are.")
SYSTEM_MEMORY_USAGE: Final = _updown("system.memory.usage", "By", "How much memory is in each state.")
SYSTEM_MEMORY_UTILIZATION: Final = _gauge("system.memory.utilization", "1", "Which share of memory is in each state.")
SYSTEM_MEMORY_LIMIT: Final = _updown("system.memory.limit", "By", "How much memory the host has.")
SYSTEM_PAGING_USAGE: Final = _updown("system.paging.usage", "By", "How much swap is used and free.")
SYSTEM_PAGING_UTILIZATION: Final = _gauge("system.paging.utilization", "1", "Which share of swap is used and free.")
SYSTEM_PAGING_FAULTS: Final = _counter("system.paging.faults", "{fault}", "How many page faults happened.")
SYSTEM_DISK_IO: Final = _counter("system.disk.io", "By", "How many bytes disks read and wrote.")
SYSTEM_DISK_OPERATIONS: Final = _counter("system.disk.operations", "{operation}", "How often disks read and wrote.")
SYSTEM_DISK_IO_TIME: Final = _counter("system.disk.io_time", "s", "How long disks were busy.")
SYSTEM_FILESYSTEM_USAGE: Final = _updown("system.filesystem.usage", "By", "How much of a filesystem is used and free.")
SYSTEM_FILESYSTEM_UTILIZATION: Final = _gauge(
    "system.filesystem.utilization", "1", "Which share of the space open to users is used."
)
SYSTEM_NETWORK_IO: Final = _counter("system.network.io", "By", "How many bytes interfaces sent and received.")
SYSTEM_NETWORK_PACKET_COUNT: Final = _counter(
    "system.network.packet.count", "{packet}", "How many packets interfaces sent and received."
)
SYSTEM_NETWORK_PACKET_DROPPED: Final = _counter(
    "system.network.packet.dropped", "{packet}", "How many packets were dropped without an error."
)
SYSTEM_NETWORK_ERRORS: Final = _counter("system.network.errors", "{error}", "How many network errors happened.")
SYSTEM_NETWORK_CONNECTION_COUNT: Final = _updown(
    "system.network.connection.count", "{connection}", "How many connections are in each state."
)
SYSTEM_UPTIME: Final = _gauge("system.uptime", "s", "How long the host has been running.")
PROCESS_CPU_TIME: Final = _counter("process.cpu.time", "s", "How long this process ran in each mode.")
PROCESS_CPU_UTILIZATION: Final = _gauge(
    "process.cpu.utilization", "1", "Which share of the CPUs open to it this process used in each mode."
)
PROCESS_MEMORY_USAGE: Final = _updown("process.memory.usage", "By", "How much physical memory this process holds.")
PROCESS_MEMORY_VIRTUAL: Final = _updown("process.memory.virtual", "By", "How much memory this process has mapped.")
PROCESS_THREAD_COUNT: Final = _updown("process.thread.count", "{thread}", "How many threads this process has.")
PROCESS_UNIX_FILE_DESCRIPTOR_COUNT: Final = _updown(
    "process.unix.file_descriptor.count", "{file_descriptor}", "How many file descriptors this process has open."
)
CONTAINER_CPU_TIME: Final = _counter("container.cpu.time", "s", "How much CPU time the container has used.")
CONTAINER_MEMORY_USAGE: Final = _updown("container.memory.usage", "By", "How much memory the container is charged for.")
CONTAINER_MEMORY_AVAILABLE: Final = _updown(
    "container.memory.available", "By", "How much the working set can grow before the memory limit."
)
CONTAINER_MEMORY_WORKING_SET: Final = _updown(
    "container.memory.working_set", "By", "How much memory cannot be taken back: usage without inactive file pages."
)
OTEL_MEASURE_CONTAINER_CPU_LIMIT: Final = _updown(
    "otel_measure.container.cpu.limit", "{cpu}", "How many CPUs the container may use."
)
OTEL_MEASURE_CONTAINER_CPU_LIMIT_UTILIZATION_RATIO: Final = _gauge(
    "otel_measure.container.cpu.limit.utilization.ratio", "1", "Which share of its CPU limit the container uses."
)
OTEL_MEASURE_CONTAINER_MEMORY_LIMIT: Final = _updown(
    "otel_measure.container.memory.limit", "By", "How much memory the container may use."
)
OTEL_MEASURE_CONTAINER_MEMORY_LIMIT_UTILIZATION_RATIO: Final = _gauge(
    "otel_measure.container.memory.limit.utilization.ratio", "1", "Which share of its limit the working set takes."
)
OTEL_MEASURE_CONTAINER_CPU_THROTTLED_TIME: Final = _counter(
    "otel_measure.container.cpu.throttled.time", "s", "How long the container waited for its CPU quota."
)
OTEL_MEASURE_CONTAINER_OOM_KILLS: Final = _counter(
    "otel_measure.container.oom.kills", "{kill}", "How many processes were killed for want of memory."
)
OTEL_MEASURE_SYSTEM_LOAD_AVERAGE: Final = _gauge(
    "otel_measure.system.load_average", "{thread}", "How many tasks ran or waited on average over each period."
)
OTEL_MEASURE_PROCESS_EVENT_LOOP_LAG: Final = _gauge(
    "otel_measure.process.event_loop.lag", "s", "How late the event loop ran at worst since the last reading."
)
OTEL_MEASURE_SERVICE_UP: Final = _gauge(
    "otel_measure.service.up", "{service}", "Whether a registered service is up (1) or down (0)."
)
# A back-filled outage takes time from "up" and may join two incidents, so these two are no counters.
OTEL_MEASURE_SERVICE_STATE_TIME: Final = _updown(
    "otel_measure.service.state.time", "s", "How long a service was up, down or unwatched since registration."
)
OTEL_MEASURE_SERVICE_INCIDENTS: Final = _updown(
    "otel_measure.service.incidents", "{incident}", "How many outages a service had since registration."
)
OTEL_MEASURE_SERVICE_AVAILABILITY_RATIO: Final = _gauge(
    "otel_measure.service.availability.ratio", "1", "Which share of the observed time a service was up."
)
OTEL_MEASURE_SERVICE_COVERAGE_RATIO: Final = _gauge(
    "otel_measure.service.coverage.ratio", "1", "Which share of the window was observed."
)
OTEL_MEASURE_SERVICE_ERROR_BUDGET_REMAINING_RATIO: Final = _gauge(
    "otel_measure.service.error_budget.remaining.ratio", "1", "Which share of the allowed downtime is left."
)

# Instruments: users and experiments

_users_gauge = partial(_instrument, SCOPE_USERS, "gauge", True)

OTEL_MEASURE_USERS_EVENTS: Final = _instrument(
    SCOPE_USERS, "counter", True, "otel_measure.users.events", "{event}", "How many events users made."
)
OTEL_MEASURE_USERS_ACTIVE: Final = _users_gauge(
    "otel_measure.users.active", "{user}", "How many users were active in each window of complete days."
)
OTEL_MEASURE_USERS_STICKINESS_RATIO: Final = _users_gauge(
    "otel_measure.users.stickiness.ratio", "1", "How much of its monthly users a day sees on average."
)
OTEL_MEASURE_USERS_CONVERSION_RATIO: Final = _users_gauge(
    "otel_measure.users.conversion.ratio", "1", "Which share of the active users converted."
)
OTEL_MEASURE_USERS_RETENTION_RATIO: Final = _users_gauge(
    "otel_measure.users.retention.ratio", "1", "Which share of new users came back on day 1, 7 and 30."
)
OTEL_MEASURE_USERS_BOUNCE_RATIO: Final = _users_gauge(
    "otel_measure.users.bounce.ratio", "1", "Which share of the sessions did not engage."
)
OTEL_MEASURE_USERS_NPS_SCORE: Final = _users_gauge(
    "otel_measure.users.nps.score", "{point}", "How likely users are to recommend, -100 to 100."
)
OTEL_MEASURE_USERS_NPS_RESPONSES: Final = _users_gauge(
    "otel_measure.users.nps.responses", "{response}", "How many answers the NPS stands on."
)
OTEL_MEASURE_EXPERIMENT_USERS: Final = _users_gauge(
    "otel_measure.experiment.users", "{user}", "How many users each arm of an experiment has."
)
OTEL_MEASURE_EXPERIMENT_CONVERSION_RATIO: Final = _users_gauge(
    "otel_measure.experiment.conversion.ratio", "1", "Which share of an arm's users converted."
)
OTEL_MEASURE_EXPERIMENT_P_VALUE: Final = _users_gauge(
    "otel_measure.experiment.p_value", "{probability}", "How surprising an arm's effect is, valid at every look."
)
OTEL_MEASURE_EXPERIMENT_SAMPLE_RATIO_P_VALUE: Final = _users_gauge(
    "otel_measure.experiment.sample_ratio.p_value", "{probability}", "How surprising the split between the arms is."
)

# Instruments: requests of a web application

HTTP_SERVER_REQUEST_DURATION: Final = _instrument(
    *(SCOPE_HTTP, "histogram", False, "http.server.request.duration", "s"),
    *("How long requests take.", (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)),
)

# Instruments: about itself

_self_gauge = partial(_instrument, SCOPE_SELF, "gauge", True)
_self_counter = partial(_instrument, SCOPE_SELF, "counter", False)

OTEL_MEASURE_SELF_RECORDS: Final = _self_counter(
    "otel_measure.self.records", "{record}", "How many records were accepted, duplicate, rejected and dropped."
)
OTEL_MEASURE_SELF_QUEUE_LENGTH: Final = _self_gauge(
    "otel_measure.self.queue.length", "{record}", "How many records wait to be committed."
)
OTEL_MEASURE_SELF_COMMIT_DURATION: Final = _instrument(
    *(SCOPE_SELF, "histogram", False, "otel_measure.self.commit.duration", "s"),
    *("How long the store takes to commit a batch.", BUCKETS_COMMIT_DURATION),
)
OTEL_MEASURE_SELF_OVERFLOW_ATTRIBUTE_SETS: Final = _self_gauge(
    "otel_measure.self.overflow.attribute_sets", "{attribute_set}", "How many attribute sets exceed the exposed ones."
)
OTEL_MEASURE_SELF_RECEIVED: Final = _self_counter(
    "otel_measure.self.received", "{item}", "How many data points, log records and spans came by OTLP, by outcome."
)
OTEL_MEASURE_SELF_SENT: Final = _self_counter(
    "otel_measure.self.sent", "{record}", "How many records left by OTLP, by what the other side said."
)
OTEL_MEASURE_SELF_OUTBOX_LENGTH: Final = _self_gauge(
    "otel_measure.self.outbox.length", "{record}", "How many records wait in the store to leave by OTLP."
)
OTEL_MEASURE_SELF_ERRORS: Final = _self_counter(
    "otel_measure.self.errors", "{error}", "How many faults of our own were caught."
)

# Collected from the constants above, so that none can be forgotten.
INSTRUMENTS: Final[tuple[Instrument, ...]] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Instrument)
)
BY_NAME: Final[Mapping[str, Instrument]] = MappingProxyType({i.name: i for i in INSTRUMENTS})
# What others may call what we emit under the left name (the conventions' renames in flight).
RECEIVED_AS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gen_ai.client.inference.duration": GEN_AI_CLIENT_OPERATION_DURATION.name,
        "gen_ai.client.inference.operation.duration": GEN_AI_CLIENT_OPERATION_DURATION.name,
        "gen_ai.client.inference.tokens": GEN_AI_CLIENT_TOKEN_USAGE.name,
        "gen_ai.client.inference.token.usage": GEN_AI_CLIENT_TOKEN_USAGE.name,
        "gen_ai.client.inference.time_to_first_chunk": GEN_AI_CLIENT_OPERATION_TIME_TO_FIRST_CHUNK.name,
        "gen_ai.client.inference.time_per_output_chunk": GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK.name,
    }
)

# Metrics of others that say what calls cost, in USD.
RECEIVED_COSTS: Final = frozenset({"gen_ai.usage.cost", "gen_ai.client.operation.cost", "gen_ai.client.cost"})

# Attributes: resource

ATTR_SERVICE_NAME: Final = "service.name"
ATTR_SERVICE_VERSION: Final = "service.version"
ATTR_SERVICE_INSTANCE_ID: Final = "service.instance.id"
ATTR_DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
ATTR_DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment"  # the older name, received only
ATTR_HOST_ID: Final = "host.id"
ATTR_K8S_POD_UID: Final = "k8s.pod.uid"
ATTR_K8S_NODE_NAME: Final = "k8s.node.name"
ATTR_SCOPE_NAME: Final = "otel.scope.name"
ATTR_QUANTILE: Final = "quantile"
ATTR_HOST_NAME: Final = "host.name"
ATTR_CONTAINER_ID: Final = "container.id"
ATTR_PROCESS_PID: Final = "process.pid"
ATTR_OWN_FACTS: Final = "otel_measure.own_facts"  # marks telemetry whose facts a store of ours has

# What Prometheus calls a resource: one series per process, with its attributes (specification: "Resource Attributes").
TARGET_INFO: Final = "target.info"

# Attributes: models

ATTR_GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
ATTR_GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
ATTR_GEN_AI_SYSTEM: Final = "gen_ai.system"  # the older name of the provider, received only
ATTR_GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
ATTR_GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
ATTR_GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
ATTR_GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"
ATTR_GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
ATTR_GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
ATTR_GEN_AI_EVALUATION_NAME: Final = "gen_ai.evaluation.name"
ATTR_GEN_AI_EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
ATTR_GEN_AI_EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
ATTR_ERROR_TYPE: Final = "error.type"
ATTR_MODEL_VERSION: Final = "otel_measure.model.version"
ATTR_MODEL_TYPE: Final = "otel_measure.model.type"
ATTR_COST_SOURCE: Final = "otel_measure.cost.source"
ATTR_COST_USD: Final = "otel_measure.cost.usd"
ATTR_OUTCOME: Final = "otel_measure.outcome"
ATTR_PRICED: Final = "otel_measure.priced"
ATTR_INFERENCE_ID: Final = "otel_measure.inference.id"
ATTR_LATENCY_MS: Final = "otel_measure.inference.latency_ms"
ATTR_PREDICTION: Final = "otel_measure.inference.prediction"
ATTR_GROUND_TRUTH: Final = "otel_measure.inference.ground_truth"
ATTR_FEATURES: Final = "otel_measure.inference.features"
ATTR_METADATA: Final = "otel_measure.inference.metadata"
ATTR_TIME_TO_FIRST_CHUNK_MS: Final = "otel_measure.inference.time_to_first_chunk_ms"
ATTR_OUTPUT_CHUNKS: Final = "otel_measure.inference.output_chunks"
ATTR_FEATURE_NAME: Final = "otel_measure.feature.name"

TOKEN_TYPE_INPUT: Final = "input"
TOKEN_TYPE_OUTPUT: Final = "output"
OUTCOME_OK: Final = "ok"
OUTCOME_ERROR: Final = "error"
VERSION_UNKNOWN: Final = "unversioned"
OTHER: Final = "_OTHER"

# Attributes: infrastructure

ATTR_CPU_MODE: Final = "cpu.mode"
ATTR_SYSTEM_DEVICE: Final = "system.device"
ATTR_SYSTEM_FILESYSTEM_MOUNTPOINT: Final = "system.filesystem.mountpoint"
ATTR_SYSTEM_FILESYSTEM_STATE: Final = "system.filesystem.state"
ATTR_SYSTEM_FILESYSTEM_TYPE: Final = "system.filesystem.type"
ATTR_SYSTEM_MEMORY_STATE: Final = "system.memory.state"
ATTR_SYSTEM_PAGING_STATE: Final = "system.paging.state"
ATTR_SYSTEM_PAGING_FAULT_TYPE: Final = "system.paging.fault.type"
ATTR_DISK_IO_DIRECTION: Final = "disk.io.direction"
ATTR_NETWORK_IO_DIRECTION: Final = "network.io.direction"
ATTR_NETWORK_INTERFACE_NAME: Final = "network.interface.name"
ATTR_NETWORK_CONNECTION_STATE: Final = "network.connection.state"
ATTR_NETWORK_TRANSPORT: Final = "network.transport"
ATTR_LOAD_AVERAGE_PERIOD: Final = "otel_measure.load_average.period"
ATTR_MONITORED_SERVICE_NAME: Final = "otel_measure.service.name"  # the service watched, not the one that emits
ATTR_MONITORED_SERVICE_STATE: Final = "otel_measure.service.state"
ATTR_MONITORED_SERVICE_REASON: Final = "otel_measure.service.reason"

# Attributes: requests

ATTR_HTTP_REQUEST_METHOD: Final = "http.request.method"
ATTR_HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
ATTR_HTTP_ROUTE: Final = "http.route"
ATTR_URL_SCHEME: Final = "url.scheme"

# Attributes: users, experiments, ourselves

ATTR_USER_ID: Final = "user.id"
ATTR_SESSION_ID: Final = "session.id"
ATTR_SESSION_PREVIOUS_ID: Final = "session.previous_id"
ATTR_URL_FULL: Final = "url.full"
ATTR_URL_PATH: Final = "url.path"
ATTR_EVENT_ID: Final = "otel_measure.event.id"
ATTR_EVENT_TYPE: Final = "otel_measure.event.type"
ATTR_EVENT_LABEL: Final = "otel_measure.event.label"
ATTR_EVENT_PROPERTIES: Final = "otel_measure.event.properties"
ATTR_EVENT_VALUE: Final = "otel_measure.event.value"
ATTR_EVENT_CURRENCY: Final = "otel_measure.event.currency"
ATTR_EVENT_BACKGROUND: Final = "otel_measure.event.background"
ATTR_DEVICE_TYPE: Final = "otel_measure.device.type"
ATTR_REFERRER: Final = "otel_measure.referrer"
ATTR_NPS_SCORE: Final = "otel_measure.nps.score"
ATTR_NPS_COMMENT: Final = "otel_measure.nps.comment"
ATTR_NPS_SURVEY: Final = "otel_measure.nps.survey"
ATTR_WINDOW: Final = "otel_measure.window"
ATTR_RETENTION_DAY: Final = "otel_measure.retention.day"
ATTR_FEATURE_FLAG_KEY: Final = "feature_flag.key"
ATTR_FEATURE_FLAG_CONTEXT_ID: Final = "feature_flag.context.id"
ATTR_FEATURE_FLAG_PROVIDER_NAME: Final = "feature_flag.provider.name"
ATTR_FEATURE_FLAG_RESULT_REASON: Final = "feature_flag.result.reason"
ATTR_FEATURE_FLAG_RESULT_VARIANT: Final = "feature_flag.result.variant"
ATTR_FEATURE_FLAG_SET_ID: Final = "feature_flag.set.id"
FEATURE_FLAG_REASON_SPLIT: Final = "split"
ATTR_LOG_RECORD_UID: Final = "log.record.uid"
ATTR_RECORD_KIND: Final = "otel_measure.record.kind"
ATTR_RECORD_OUTCOME: Final = "otel_measure.record.outcome"
ATTR_SIGNAL: Final = "otel_measure.signal"
ATTR_DROP_REASON: Final = "otel_measure.drop.reason"
ATTR_INSTRUMENT: Final = "otel_measure.instrument"
ATTR_METRIC_OVERFLOW: Final = "otel.metric.overflow"
ATTR_TIME_CLAMPED: Final = "otel_measure.time.clamped"

# Event names: never with dynamic values in them; the caller's event_name is ATTR_EVENT_LABEL.

EVENT_PREFIX: Final = "otel_measure."
GEN_AI_PREFIX: Final = "gen_ai."
EVENT_INFERENCE: Final = "otel_measure.inference"
EVENT_GROUND_TRUTH: Final = "otel_measure.ground_truth"
EVENT_NPS_RESPONSE: Final = "otel_measure.nps_response"
EVENT_SERVICE_STATE: Final = "otel_measure.service.state"
EVENT_SESSION_START: Final = "session.start"
EVENT_SESSION_END: Final = "session.end"
EVENT_FEATURE_FLAG_EVALUATION: Final = "feature_flag.evaluation"
EVENT_EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
USER_EVENT_TYPES: Final = (
    *("page_view", "click", "form_submit", "conversion", "purchase", "signup"),
    *("login", "logout", "feature_use", "error", "custom"),
)

# Events of others with a `user.id`, and the user event that each is; "*" stands for every other one.
EVENT_TYPES_OF_OTHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "browser.page_view": "page_view",
        "app.screen.view": "page_view",
        "app.screen.click": "click",
        "app.widget.click": "click",
        "app.crash": "error",
        "exception": "error",
        "*": "custom",
    }
)

# What happens without the user doing anything: no activity.
PASSIVE_EVENT_TYPES: Final = frozenset({EVENT_SESSION_START, EVENT_SESSION_END, EVENT_FEATURE_FLAG_EVALUATION})

# The exposition shows this many attribute sets per instrument (the SDK's own cap), and one more for the rest.
EXPOSED_ATTRIBUTE_SETS: Final = 2000

# Defaults for what the caller leaves out. The first prefix that matches wins; a prefix that ends in
# a letter or digit must end a word there ("o1-mini" is OpenAI's, "o1wner-churn" is not).

PROVIDER_BY_MODEL_PREFIX: Final[tuple[tuple[str, str], ...]] = (
    *((prefix, OTHER) for prefix in ("gpt-j", "gpt-neo", "gpt-neox")),
    ("azure/", "azure.ai.openai"),
    ("vertex_ai/", "gcp.vertex_ai"),
    ("groq/", "groq"),
    ("perplexity/", "perplexity"),
    *((prefix, "aws.bedrock") for prefix in ("bedrock/", "amazon.", "us.amazon.", "eu.amazon.", "apac.amazon.")),
    *((prefix, "aws.bedrock") for prefix in ("anthropic.", "us.anthropic.", "eu.anthropic.", "apac.anthropic.")),
    *((prefix, "aws.bedrock") for prefix in ("meta.", "us.meta.", "mistral.", "cohere.", "ai21.")),
    *((prefix, "aws.bedrock") for prefix in ("nova-micro", "nova-lite", "nova-pro", "nova-premier")),
    *((prefix, "openai") for prefix in ("openai/", "gpt-", "chatgpt", "o1", "o3", "o4", "text-embedding", "dall-e")),
    *((prefix, "anthropic") for prefix in ("anthropic/", "claude")),
    *((prefix, "gcp.gemini") for prefix in ("google/gemini", "gemini/", "gemini")),
    *((prefix, "mistral_ai") for prefix in ("mistral/", "mistralai/", "mistral", "ministral", "magistral")),
    *((prefix, "mistral_ai") for prefix in ("codestral", "pixtral", "open-mistral", "open-mixtral")),
    *((prefix, "cohere") for prefix in ("cohere/", "command")),
    *((prefix, "deepseek") for prefix in ("deepseek/", "deepseek")),
    *((prefix, "x_ai") for prefix in ("xai/", "x-ai/", "grok")),
)
OPERATION_BY_MODEL_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {"nlp_generation": "chat", "nlp_translation": "chat", "embeddings": "embeddings"}
)
OPERATION_DEFAULT: Final = "predict"


# Operations under these names call tools, agents or stores; a call of a model inside them is told of by itself.
OPERATIONS_WITHOUT_MODEL_CALL: Final = frozenset(
    {"execute_tool", "invoke_agent", "create_agent", "invoke_workflow", "plan", "retrieval", "rerank"}
)
# What older conventions called what is named now, received only.
OLDER_INPUT_TOKENS: Final = ("gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens")
OLDER_OUTPUT_TOKENS: Final = ("gen_ai.usage.completion_tokens", "llm.usage.completion_tokens")
USAGE_COSTS: Final = ("gen_ai.usage.cost", "gen_ai.usage.cost_usd")
TIMES_TO_FIRST_CHUNK_S: Final = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")


@lru_cache(maxsize=4096)
def version_of(request_model: str | None, response_model: str | None) -> str:
    """Which version of a model answered: the response model without the name asked for in front of it.

    `gpt-4o` answered by `gpt-4o-2024-08-06` → `2024-08-06`; the whole response model where the name asked for is no
    prefix of it, `unversioned` where nothing more is said.
    """
    if not response_model:
        return VERSION_UNKNOWN
    if request_model and response_model.startswith(request_model):
        return response_model[len(request_model) :].lstrip("-@:/_ ") or VERSION_UNKNOWN
    return response_model


@lru_cache(maxsize=4096)
def provider_of(model: str) -> str:
    """Which provider a model's name speaks of (``gen_ai.provider.name``), ``_OTHER`` when none."""
    name = model.lower()
    for prefix, provider in PROVIDER_BY_MODEL_PREFIX:
        if name.startswith(prefix) and not (prefix[-1].isalnum() and name[len(prefix) : len(prefix) + 1].isalnum()):
            return provider
    return OTHER


def operation_of(model_type: str) -> str:
    """Which ``gen_ai.operation.name`` a model of this type performs when the caller gives none."""
    return OPERATION_BY_MODEL_TYPE.get(model_type, OPERATION_DEFAULT)
