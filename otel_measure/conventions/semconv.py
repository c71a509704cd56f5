"""The names of attributes and events, ours and those of the conventions that we use, and the values that they take.

Names follow opentelemetry-semantic-conventions 0.66b2; what starts with ``otel_measure.`` is ours. The GenAI and
system conventions are still moving, so their names are data here and nowhere else; what others write in their place
stands in `dialects`.
"""

from __future__ import annotations

from typing import Final

SCOPE_AI: Final = "otel_measure.ai"
SCOPE_INFRASTRUCTURE: Final = "otel_measure.infrastructure"
SCOPE_USERS: Final = "otel_measure.users"
SCOPE_HTTP: Final = "otel_measure.http"
SCOPE_SELF: Final = "otel_measure.self"
SCOPE_EVENTS: Final = "otel_measure"

# Attributes: resource

ATTR_SERVICE_NAME: Final = "service.name"
ATTR_TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
ATTR_SERVICE_INSTANCE_ID: Final = "service.instance.id"
ATTR_DEPLOYMENT_ENVIRONMENT_NAME: Final = "deployment.environment.name"
ATTR_HOST_ID: Final = "host.id"
ATTR_K8S_POD_UID: Final = "k8s.pod.uid"
ATTR_K8S_NODE_NAME: Final = "k8s.node.name"
ATTR_SCOPE_NAME: Final = "otel.scope.name"
ATTR_QUANTILE: Final = "quantile"
ATTR_PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
ATTR_HOST_NAME: Final = "host.name"
ATTR_CONTAINER_ID: Final = "container.id"
ATTR_PROCESS_PID: Final = "process.pid"
ATTR_OWN_FACTS: Final = "otel_measure.own_facts"  # marks telemetry whose facts a store of ours has

ATTR_VCS_REPOSITORY_NAME: Final = "vcs.repository.name"
ATTR_VCS_REPOSITORY_URL_FULL: Final = "vcs.repository.url.full"
ATTR_VCS_OWNER_NAME: Final = "vcs.owner.name"

# What Prometheus calls a resource: one series per process, with its attributes (specification: "Resource Attributes").
TARGET_INFO: Final = "target.info"

# Attributes: models

ATTR_GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
ATTR_GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
ATTR_GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
ATTR_GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
ATTR_GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
ATTR_GEN_AI_TOKEN_TYPE: Final = "gen_ai.token.type"
ATTR_GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
ATTR_GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
ATTR_UNTIMED: Final = "otel_measure.inference.untimed"
ATTR_USAGE_UNITS: Final = "otel_measure.inference.units"
ATTR_SERVICE_TIER: Final = "otel_measure.inference.service_tier"
ATTR_GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
ATTR_GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
ATTR_GEN_AI_TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
ATTR_GEN_AI_EVALUATION_NAME: Final = "gen_ai.evaluation.name"
ATTR_GEN_AI_EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
ATTR_GEN_AI_EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
ATTR_ERROR_TYPE: Final = "error.type"
ATTR_MODEL_VERSION: Final = "otel_measure.model.version"
ATTR_COST_SOURCE: Final = "otel_measure.cost.source"
ATTR_CACHE_SAVINGS_USD: Final = "otel_measure.cost.cache_savings_usd"
ATTR_COST_USD: Final = "otel_measure.cost.usd"
ATTR_OUTCOME: Final = "otel_measure.outcome"
ATTR_PRICED: Final = "otel_measure.priced"
ATTR_INFERENCE_ID: Final = "otel_measure.inference.id"
ATTR_LATENCY_MS: Final = "otel_measure.inference.latency_ms"
ATTR_PREDICTION: Final = "otel_measure.inference.prediction"
ATTR_GROUND_TRUTH: Final = "otel_measure.inference.ground_truth"
ATTR_FEATURES: Final = "otel_measure.inference.features"
ATTR_METADATA: Final = "otel_measure.inference.metadata"
ATTR_GROUPS: Final = "otel_measure.inference.groups"
ATTR_TIME_TO_FIRST_CHUNK_MS: Final = "otel_measure.inference.time_to_first_chunk_ms"
ATTR_OUTPUT_CHUNKS: Final = "otel_measure.inference.output_chunks"

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
ATTR_MAINTENANCE_START_US: Final = "otel_measure.maintenance.start_us"  # microseconds since 1970
ATTR_MAINTENANCE_END_US: Final = "otel_measure.maintenance.end_us"

# Attributes: requests

ATTR_HTTP_REQUEST_METHOD: Final = "http.request.method"
ATTR_HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
ATTR_HTTP_ROUTE: Final = "http.route"
ATTR_URL_SCHEME: Final = "url.scheme"

# Attributes: users, experiments, ourselves

ATTR_USER_ID: Final = "user.id"
ATTR_SESSION_ID: Final = "session.id"
ATTR_URL_FULL: Final = "url.full"
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
ATTR_FEATURE_FLAG_RESULT_REASON: Final = "feature_flag.result.reason"
ATTR_FEATURE_FLAG_RESULT_VARIANT: Final = "feature_flag.result.variant"
FEATURE_FLAG_REASON_SPLIT: Final = "split"
ATTR_LOG_RECORD_UID: Final = "log.record.uid"
ATTR_RECORD_KIND: Final = "otel_measure.record.kind"
ATTR_RECORD_OUTCOME: Final = "otel_measure.record.outcome"
ATTR_SIGNAL: Final = "otel_measure.signal"
ATTR_DROP_REASON: Final = "otel_measure.drop.reason"
ATTR_ALERT_RULE: Final = "otel_measure.alert.rule"
ATTR_ALERT_SEVERITY: Final = "otel_measure.alert.severity"
ATTR_ALERT_STATE: Final = "otel_measure.alert.state"
ATTR_ALERT_SUBJECT_KIND: Final = "otel_measure.alert.subject.kind"
ATTR_ALERT_SUBJECT_NAME: Final = "otel_measure.alert.subject.name"
ATTR_INSTRUMENT: Final = "otel_measure.instrument"
ATTR_METRIC_OVERFLOW: Final = "otel.metric.overflow"
OVERFLOW: Final = ((ATTR_METRIC_OVERFLOW, "true"),)  # the one attribute set in which all beyond a cap are summed
ATTR_CLIENT_CLOCK: Final = "otel_measure.time.client_clock"
ATTR_TIME_CLAMPED: Final = "otel_measure.time.clamped"

# Event names: never with dynamic values in them; the caller's event_name is ATTR_EVENT_LABEL.

EVENT_PREFIX: Final = "otel_measure."
GEN_AI_PREFIX: Final = "gen_ai."
EVENT_INFERENCE: Final = "otel_measure.inference"
EVENT_GROUND_TRUTH: Final = "otel_measure.ground_truth"
EVENT_NPS_RESPONSE: Final = "otel_measure.nps_response"
EVENT_SERVICE_STATE: Final = "otel_measure.service.state"
EVENT_MAINTENANCE: Final = "otel_measure.service.maintenance"
EVENT_SESSION_START: Final = "session.start"
EVENT_SESSION_END: Final = "session.end"
EVENT_FEATURE_FLAG_EVALUATION: Final = "feature_flag.evaluation"
EVENT_EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVENT_AB_CONVERSION: Final = "otel_measure.ab_conversion"

# What happens without the user doing anything: no activity.
PASSIVE_EVENT_TYPES: Final = frozenset({EVENT_SESSION_START, EVENT_SESSION_END, EVENT_FEATURE_FLAG_EVALUATION})
