"""Every instrument: its name, kind, unit, description, buckets and scope, as a table.

Names follow opentelemetry-semantic-conventions 0.66b2; what starts with ``otel_measure.`` is ours.
Gauges of ours that are ratios are *named* ``….ratio``: the Collector appends that suffix to
unit-1 gauges and the Python exporter does not, so only a name that has it is the same on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

from otel_measure.conventions.semconv import SCOPE_AI, SCOPE_HTTP, SCOPE_INFRASTRUCTURE, SCOPE_SELF, SCOPE_USERS

Kind = Literal["histogram", "counter", "updowncounter", "gauge"]

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
    "otel_measure.service.state.time",
    "s",
    "How long a service was up, down, in maintenance or unwatched since registration.",
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
OTEL_MEASURE_SERVICE_OBJECTIVE_RATIO: Final = _gauge(
    "otel_measure.service.objective.ratio", "1", "Which share of the time a service has to be up."
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
OTEL_MEASURE_SELF_SPOOL_LENGTH: Final = _self_gauge(
    "otel_measure.self.spool.length", "{record}", "How much waits on this host until the store has taken it."
)
OTEL_MEASURE_SELF_ERRORS: Final = _self_counter(
    "otel_measure.self.errors", "{error}", "How many faults of our own were caught."
)

# Instruments: alerts

OTEL_MEASURE_ALERT: Final = _self_gauge(
    "otel_measure.alert", "{alert}", "Alerts that are pending or fire, each 1; an inactive one is absent."
)
OTEL_MEASURE_ALERT_LAST_EVALUATION_TIMESTAMP: Final = _self_gauge(
    "otel_measure.alert.last_evaluation.timestamp", "s", "When alerts were evaluated last, seconds since 1970."
)

# Collected from the constants above, so that none can be forgotten.
INSTRUMENTS: Final[tuple[Instrument, ...]] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Instrument)
)
BY_NAME: Final[Mapping[str, Instrument]] = MappingProxyType({i.name: i for i in INSTRUMENTS})

# The exposition shows this many attribute sets per instrument (the SDK's own cap), and one more for the rest.
EXPOSED_ATTRIBUTE_SETS: Final = 2000
